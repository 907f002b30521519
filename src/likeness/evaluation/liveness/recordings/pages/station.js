// The recording station: asks for consent and labels, takes a photo, and opens the session. The labels stay for the next
// person of this tab, but the consent and the person's code do not.

const FIELDS = ["kind", "instrument", "device", "light"];
const SETTLING_MS = 700; // the camera sets its exposure
const input = (name) => /** @type {HTMLInputElement} */ (document.getElementById(name));
const video = /** @type {HTMLVideoElement} */ (document.getElementById("video"));
const begin = /** @type {HTMLButtonElement} */ (document.getElementById("begin"));
const status = /** @type {HTMLElement} */ (document.getElementById("status"));

for (const name of FIELDS) input(name).value = sessionStorage.getItem(name) ?? input(name).value;

function tell(text, bad = false) {
  status.textContent = text;
  status.className = bad ? "bad" : "quiet";
}

async function takePhoto() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, facingMode: "user" } });
  try {
    video.srcObject = stream;
    video.hidden = false;
    await video.play();
    await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    return canvas.toDataURL("image/jpeg", 0.92);
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.hidden = true;
  }
}

document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  begin.disabled = true;
  tell("Look into the camera …");
  try {
    const labels = Object.fromEntries(FIELDS.map((name) => [name, input(name).value]));
    const wanted = { ...labels, subject: input("subject").value, consent: input("consent").checked };
    const body = JSON.stringify({ ...wanted, photo: await takePhoto() });
    const reply = await fetch("/record/sessions", { method: "POST", body });
    const told = await reply.json();
    if (!reply.ok) throw new Error(told.message);
    for (const name of FIELDS) sessionStorage.setItem(name, labels[name]);
    location.assign(told.captureUrl);
  } catch (fault) {
    begin.disabled = false;
    tell(fault.name === "NotAllowedError" ? "The browser does not allow the camera." : fault.message, true);
  }
});
