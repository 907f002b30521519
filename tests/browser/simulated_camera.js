({ label }) => {
  if (!navigator.mediaDevices) return; // about:blank, before the page
  const heard = [];
  const UNWANTED_MS = 300;
  const ANSWER_MS = 5000;
  let begun = false;
  let sent = 0;
  let answered = 0;
  let now = null;

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
      if (typeof data !== "string") sent += 1;
      super.send(data);
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

  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    let open = true;
    const show = async () => {
      const answer = await window.simulatedFrame({ begun, messages: heard.splice(0), colour: painted() });
      now = answer.now;
      const bytes = Uint8Array.from(atob(answer.jpeg), (letter) => letter.charCodeAt(0));
      const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      context.drawImage(picture, 0, 0);
    };
    await show();
    const stream = canvas.captureStream();
    const [track] = stream.getVideoTracks();
    Object.defineProperty(track, "label", { value: label });
    const stop = track.stop.bind(track);
    track.stop = () => {
      open = false;
      stop();
    };
    (async () => {
      while (open) {
        const before = answered;
        await show();
        await untilAnswered(before);
      }
    })();
    return stream;
  };
  navigator.mediaDevices.enumerateDevices = async () => [{ kind: "videoinput", deviceId: "simulated", label }];
}
