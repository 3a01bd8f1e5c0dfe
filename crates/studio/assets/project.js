// The first page is made by the studio; it is asked for again when the folder or a run has changed. Folders of photos, and zips of them,
// can be dropped on it.
import { bring, isBusy, onBrought, readAgain, wrong } from "./send.js";
import { listen } from "./studio.js";

onBrought((brought) => {
  if (!bring(brought, "")) wrong("Drop a folder with a folder for each class: their names are the classes. Single photos go to the page Gather, which asks for their class.");
});

listen((message) => {
  if (message.event === "job" && message.job?.status !== "running") readAgain();
  if (!isBusy() && ["folder", "trained", "looked", "changed"].includes(message.event)) location.reload();
});
