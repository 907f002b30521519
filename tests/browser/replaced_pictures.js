// Shows a photo in place of the pictures of the engine's own mock camera. The stream, its times and its callbacks stay.
({ jpeg }) => {
  const bytes = Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0));
  const photo = createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  const drawImage = CanvasRenderingContext2D.prototype.drawImage;
  let shown = null;
  let frame = 0;
  photo.then((picture) => (shown = picture));
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...places) {
    if (!(source instanceof HTMLVideoElement) || !shown) return drawImage.call(this, source, ...places);
    drawImage.call(this, shown, ...places);
    this.fillStyle = `rgb(${frame++ % 200} 200 200)`;
    this.fillRect(0, 0, 4, 4);
  };
}
