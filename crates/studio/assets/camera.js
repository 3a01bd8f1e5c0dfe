// This machine's camera: a photo with each press, more while the button is held.
import { byId } from "./studio.js";

/** Milliseconds between two photos while the button is held. */
const SERIES = 250;

/** Has the page's camera give photos. Without a camera in the page it does nothing.
 * @param {(photo: File) => void} give @param {(why: string) => void} wrong @param {() => boolean} [isFull] whether no more can be taken now */
export function onCamera(give, wrong, isFull = () => false) {
  const video = /** @type {HTMLVideoElement | null} */ (byId("video"));
  const [view, camera, shoot] = ["view", "camera", "shoot"].map(byId);
  if (!video || !view || !camera || !shoot) return;
  let series = 0;

  camera.addEventListener("click", async () => {
    try {
      // A page that is neither on this machine nor encrypted has no camera.
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
      await video.play();
      [view.hidden, camera.hidden] = [false, true];
      shoot.focus();
    } catch (problem) {
      const why = problem instanceof DOMException ? problem.message : "the browser gives this page none";
      wrong(`There is no camera to use: ${why}. Allow it in the browser, or choose photos instead.`);
    }
  });
  byId("close")?.addEventListener("click", () => {
    if (video.srcObject instanceof MediaStream) for (const track of video.srcObject.getTracks()) track.stop();
    video.srcObject = null;
    [view.hidden, camera.hidden] = [true, false];
    camera.focus();
  });

  function take() {
    // Who holds the button does not run ahead of the studio.
    if (!video?.videoWidth || isFull()) return;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    canvas.toBlob((photo) => photo && give(new File([photo], "camera.jpg", { type: photo.type })), "image/jpeg", 0.92);
  }

  /** Takes one, and more while the button is held. @param {Event} event */
  function press(event) {
    if (event instanceof KeyboardEvent) {
      if (![" ", "Enter"].includes(event.key)) return;
      // A key that is held would press the button again and again.
      event.preventDefault();
      if (event.repeat) return;
    }
    clearInterval(series);
    take();
    series = setInterval(take, SERIES);
  }

  for (const name of ["pointerdown", "keydown"]) shoot.addEventListener(name, press);
  for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) {
    shoot.addEventListener(name, (event) => {
      clearInterval(series);
      // A key that is let go would press the button.
      if (name === "keyup") event.preventDefault();
    });
  }
  // A press of neither a pointer nor a key: a screen reader's.
  shoot.addEventListener("click", (event) => event.detail === 0 && take());
}
