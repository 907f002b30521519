// A camera that is a simulated scene: the page's getUserMedia gives a canvas whose pictures are rendered as it asks for
// them. `method` says how far the replacement hides: "below" hides all that a page can see, as a replaced driver does.
({ label, method }) => {
  if (!navigator.mediaDevices) return; // about:blank, before the page
  const heard = [];
  const UNWANTED_MS = 300;
  const ANSWER_MS = 5000;
  let begun = false;
  let sent = 0;
  let answered = 0;
  let now = null; // the scene's time in milliseconds; null where the scene goes by the real time
  let swaps = Promise.resolve();

  const jpegOf = (answer) => Uint8Array.from(atob(answer.jpeg), (letter) => letter.charCodeAt(0));

  // What the page is told and how many frames it has sent, read along its own socket.
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", (event) => {
        const message = JSON.parse(event.data);
        if (message.type === "started") begun = true;
        if (message.type === "instruct") heard.push(message);
        if (message.type === "instruct" || message.type === "skipped") answered += 1;
      });
    }
    send(data) {
      if (typeof data === "string") return super.send(data);
      sent += 1;
      if (method !== "socket") return super.send(data);
      // The page's frame keeps its header, but gets another picture.
      const head = data.slice(0, 2 + new DataView(data.buffer).getUint16(0));
      swaps = swaps.then(async () => {
        const jpeg = jpegOf(await window.injectedFrame());
        const packed = new Uint8Array(head.length + jpeg.length);
        packed.set(head);
        packed.set(jpeg, head.length);
        super.send(packed);
      });
    }
  };

  // The page's clock is the scene's.
  const real = performance.now.bind(performance);
  performance.now = () => (now === null ? real() : now - performance.timeOrigin);

  const painted = () => {
    const root = document.querySelector("face-session")?.shadowRoot?.querySelector(".root.flashing");
    if (!root) return null;
    const [red, green, blue] = getComputedStyle(root.querySelector(".sheet")).fill.match(/\d+/g).map(Number);
    return "#" + [red, green, blue].map((value) => value.toString(16).padStart(2, "0")).join("");
  };

  // One picture at a time: the next is taken when the server has answered to this one, or when the page does not want it.
  const untilAnswered = (told) =>
    new Promise((resolve) => {
      const end = real() + UNWANTED_MS;
      const look = () => {
        const waiting = sent > answered ? real() < end + ANSWER_MS : real() < end;
        if (told === answered && waiting) setTimeout(look, 4);
        else requestAnimationFrame(() => requestAnimationFrame(resolve)); // the page has painted what it was told
      };
      look();
    });

  const open = async () => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    let isOpen = true;
    const show = async () => {
      const answer = await window.simulatedFrame({ begun, messages: heard.splice(0), colour: painted() });
      now = answer.now;
      const picture = await createImageBitmap(new Blob([jpegOf(answer)], { type: "image/jpeg" }));
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      context.drawImage(picture, 0, 0);
    };
    await show();
    const stream = canvas.captureStream();
    const [track] = stream.getVideoTracks();
    const stop = track.stop.bind(track);
    track.stop = () => {
      isOpen = false;
      stop();
    };
    if (method !== "canvas") {
      const { width, height } = canvas;
      const deviceId = "simulated";
      Object.defineProperty(track, "label", { value: label });
      Object.defineProperty(track, "constructor", { value: MediaStreamTrack });
      track.getSettings = () => ({ deviceId, groupId: "1", width, height, frameRate: 30 });
      track.getCapabilities = () => ({ width: { max: 1920 }, height: { max: 1080 }, frameRate: { max: 30 } });
    }
    (async () => {
      while (isOpen) {
        const before = answered;
        await show();
        await untilAnswered(before);
      }
    })();
    return stream;
  };

  // A proxy looks native. A plain function does not.
  const devices = navigator.mediaDevices;
  const native = devices.getUserMedia;
  devices.getUserMedia = method === "overridden" ? open : new Proxy(native, { apply: open });
  const listed = devices.enumerateDevices;
  const list = async () => [{ kind: "videoinput", deviceId: "simulated", label }];
  if (method !== "canvas") devices.enumerateDevices = new Proxy(listed, { apply: list });

  // The camera's clock is the scene's, too.
  const announce = HTMLVideoElement.prototype.requestVideoFrameCallback;
  HTMLVideoElement.prototype.requestVideoFrameCallback = function (call) {
    return announce.call(this, (at, facts) =>
      call(at, now === null ? facts : { ...facts, mediaTime: now / 1000 - 900 }),
    );
  };
}
