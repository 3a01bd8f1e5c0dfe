// The first page is made by the studio; it is asked for again when the folder or a run has changed.
import { listen } from "./studio.js";

listen((message) => {
  if (["folder", "trained", "looked", "changed"].includes(message.event)) location.reload();
});
