// Takes photos (chosen, dropped, pasted or shot), sends them, and shows the answer with the faces drawn in.

const form = /** @type {HTMLFormElement} */ (document.querySelector("form.try"));
const outcome = /** @type {HTMLElement} */ (document.querySelector("[data-outcome]"));
const submit = /** @type {HTMLButtonElement} */ (form.querySelector('[type="submit"]'));
const dialog = /** @type {HTMLDialogElement} */ (document.querySelector("dialog.camera"));
const drops = [.../** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-drop]"))];
const SHARPEST = 1600;
const ALIGNED = 224;

/** The photos by the name of their field: the bytes to send, and the picture to draw.
 * @type {Map<string, {file: Blob, picture: ImageBitmap}>} */
const photos = new Map();

/** @param {HTMLElement} drop */
const nameOf = (drop) => drop.dataset.drop ?? "";

/**
 * @param {HTMLElement} drop
 * @param {Blob | null | undefined} file
 */
async function take(drop, file) {
  if (!file) return;
  const area = /** @type {HTMLElement} */ (drop.querySelector(".drop-area"));
  const canvas = /** @type {HTMLCanvasElement} */ (drop.querySelector(".preview"));
  try {
    const picture = await createImageBitmap(file);
    photos.set(nameOf(drop), { file, picture });
    const scale = Math.min(1, SHARPEST / Math.max(picture.width, picture.height));
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
    /** @type {HTMLElement} */ (drop.querySelector(".drop-hint")).hidden = true;
  } catch {
    photos.set(nameOf(drop), { file, picture: await createImageBitmap(new ImageData(1, 1)) }); // the server says why
  }
  canvas.hidden = false;
  area.classList.add("filled");
  submit.disabled = photos.size < drops.length;
}

for (const drop of drops) {
  const area = /** @type {HTMLElement} */ (drop.querySelector(".drop-area"));
  const input = /** @type {HTMLInputElement} */ (drop.querySelector("input"));
  const shoot = /** @type {HTMLButtonElement} */ (drop.querySelector(".shoot"));
  input.addEventListener("change", () => take(drop, input.files?.[0]));
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    take(drop, event.dataTransfer?.files[0]);
  });
  if (navigator.mediaDevices) {
    shoot.hidden = false;
    shoot.addEventListener("click", () => openCamera(drop));
  }
}

document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
  take(drops.find((drop) => !photos.has(nameOf(drop))) ?? drops[0], file);
});

form.addEventListener("reset", () => {
  photos.clear();
  submit.disabled = true;
  outcome.replaceChildren();
  for (const drop of drops) {
    drop.querySelector(".drop-area")?.classList.remove("filled");
    /** @type {HTMLElement} */ (drop.querySelector(".preview")).hidden = true;
    /** @type {HTMLElement} */ (drop.querySelector(".drop-hint")).hidden = false;
  }
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  for (const [name, { file }] of photos) fields.set(name, file, "photo");
  const words = submit.textContent;
  submit.disabled = true;
  submit.textContent = form.dataset.busy ?? "";
  try {
    const answer = await fetch(form.dataset.action ?? "", { method: "POST", body: fields });
    if (answer.redirected) return location.assign(answer.url); // the visit has ended
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.querySelector("[data-part]");
    outcome.replaceChildren(...(part ? [document.importNode(part, true)] : []));
    drawFaces();
  } catch {
    const refusal = document.createElement("p");
    refusal.className = "refusal";
    refusal.textContent = form.dataset.failed ?? "";
    outcome.replaceChildren(refusal);
  } finally {
    submit.disabled = false;
    submit.textContent = words;
  }
  outcome.scrollIntoView({ block: "nearest" });
});

function drawFaces() {
  const pictures = drops.map((drop) => photos.get(nameOf(drop))?.picture);
  for (const figure of /** @type {NodeListOf<HTMLElement>} */ (outcome.querySelectorAll(".face"))) {
    const picture = pictures[Number(figure.dataset.photo)];
    if (!picture) continue;
    const numbers = (figure.dataset.places ?? "").split(" ").map(Number);
    const scale = picture.width / numbers[14]; // the browser may decode the photo in another size
    const [x, y, width, height, ...marks] = numbers.map((each) => each * scale);
    const eyes = [
      { x: marks[0], y: marks[1] },
      { x: marks[2], y: marks[3] },
    ];
    drawWhole(/** @type {HTMLCanvasElement} */ (figure.querySelector(".whole")), picture, [x, y, width, height], marks);
    drawAligned(/** @type {HTMLCanvasElement} */ (figure.querySelector(".aligned")), picture, eyes);
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap} picture
 * @param {number[]} box
 * @param {number[]} marks
 */
function drawWhole(canvas, picture, [x, y, width, height], marks) {
  const scale = Math.min(1, SHARPEST / 2 / Math.max(picture.width, picture.height));
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.scale(scale, scale);
  pen.drawImage(picture, 0, 0);
  const line = Math.max(picture.width, picture.height) / 220;
  pen.lineWidth = line;
  pen.strokeStyle = "#56cdb4";
  pen.fillStyle = "#56cdb4";
  pen.shadowColor = "#000";
  pen.shadowBlur = line;
  pen.beginPath();
  pen.roundRect(x, y, width, height, line * 3);
  pen.stroke();
  for (let place = 0; place < 10; place += 2) {
    pen.beginPath();
    pen.arc(marks[place], marks[place + 1], line * 1.3, 0, 7);
    pen.fill();
  }
}

/** Turns the picture so that both eyes are level, at the places that most recognisers use.
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap} picture
 * @param {{x: number, y: number}[]} eyes
 */
function drawAligned(canvas, picture, [left, right]) {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const angle = Math.atan2(right.y - left.y, right.x - left.x);
  const scale = (ALIGNED * 0.32) / Math.max(1, Math.hypot(right.x - left.x, right.y - left.y));
  pen.translate(ALIGNED / 2, ALIGNED * 0.44);
  pen.rotate(-angle);
  pen.scale(scale, scale);
  pen.translate(-(left.x + right.x) / 2, -(left.y + right.y) / 2);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0);
}

/** @param {HTMLElement} drop */
async function openCamera(drop) {
  const video = /** @type {HTMLVideoElement} */ (dialog.querySelector("video"));
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
  } catch {
    return;
  }
  video.srcObject = stream;
  await video.play();
  dialog.showModal();
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  dialog.addEventListener("close", stop, { once: true });
  /** @type {HTMLButtonElement} */ (dialog.querySelector("[data-close]")).onclick = () => dialog.close();
  /** @type {HTMLButtonElement} */ (dialog.querySelector("[data-take]")).onclick = () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    canvas.toBlob((file) => take(drop, file), "image/jpeg", 0.95);
    dialog.close();
  };
}
