({ jpeg, label, dead }) => {
  if (!navigator.mediaDevices) return; // about:blank, before the page
  const devices = ["first", "second"].map((deviceId) => ({ kind: "videoinput", deviceId, label: `${label} ${deviceId}` }));
  window.opened = [];
  window.looks = 0; // how often the page has taken the camera's picture
  const drawImage = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...places) {
    if (source instanceof HTMLVideoElement) window.looks += 1;
    return drawImage.call(this, source, ...places);
  };
  navigator.mediaDevices.enumerateDevices = async () => devices;
  navigator.mediaDevices.getUserMedia = async ({ video }) => {
    const wanted = video.deviceId?.exact ?? "first";
    window.opened.push(wanted);
    if (dead === "mute" && wanted === "first") return document.createElement("canvas").captureStream(0); // allowed, and never a frame
    const bytes = Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: picture.width, height: picture.height });
    const context = canvas.getContext("2d");
    let frame = 0;
    const draw = () => {
      context.drawImage(picture, 0, 0);
      if (dead === "still" && wanted === "first") return;
      context.fillStyle = `rgb(${frame % 200} 200 200)`;
      context.fillRect(0, 0, 4, 4);
      frame += 1;
    };
    draw();
    const timer = setInterval(draw, 40);
    const stream = canvas.captureStream();
    const [track] = stream.getVideoTracks();
    Object.defineProperty(track, "label", { value: `${label} ${wanted}` });
    track.getSettings = () => ({ deviceId: wanted });
    const stop = track.stop.bind(track);
    track.stop = () => {
      clearInterval(timer);
      stop();
    };
    return stream;
  };
}
