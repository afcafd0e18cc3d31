// The playground: one raw socket to one channel. What arrives is put on the page as text.
"use strict";

const MAX_LINES = 300;
const $ = (id) => document.getElementById(id);
const state = document.querySelector(".state");
const send = $("send");
let socket = null;

function show(name, words) {
  state.dataset.state = name;
  state.textContent = words;
  $("toggle").textContent = socket ? "Disconnect" : "Connect";
  $("channel").disabled = socket !== null;
  send.querySelector("button").disabled = name !== "live";
}

function line(words, className) {
  const log = $("log");
  const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString("en-GB");
  const body = document.createElement("span");
  body.className = className;
  body.textContent = words;
  item.append(time, body);
  log.append(item);
  while (log.children.length > MAX_LINES) log.firstChild.remove();
  if (follow) log.scrollTop = log.scrollHeight;
}

/** The channel's name as it stands in an address, also in one that a shell reads. */
function escaped() {
  const hex = (character) => `%${character.charCodeAt(0).toString(16)}`;
  return encodeURIComponent($("channel").value.trim()).replace(/[!'()*]/g, hex).replace(/%3A/g, ":");
}

function address() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/ws/${escaped()}`;
}

function describe() {
  const channel = escaped();
  $("address").firstChild.textContent = address();
  $("curl").textContent = `curl -X POST http://127.0.0.1:8081/v1/channels/${channel}/messages \\\n  -d '{"hello":"terminal"}'`;
}

function connect() {
  const channel = $("channel").value.trim();
  if (!channel) return;
  const mine = new WebSocket(address());
  let opened = false;
  mine.binaryType = "arraybuffer";
  socket = mine;
  show("connecting", "connecting …");
  mine.onopen = () => {
    opened = true;
    show("live", `live on ${channel}`);
    line(`connected to ${channel}`, "event");
  };
  mine.onmessage = ({ data }) => {
    line(typeof data === "string" ? data : `${data.byteLength} bytes, binary`, "message");
  };
  mine.onclose = ({ code, reason }) => {
    if (socket === mine) socket = null;
    const why = code === 1001 ? "the broker is going away" : reason;
    if (!opened) {
      show("failed", "could not connect");
      line("no connection: the broker does not run, or it refused (its log says why)", "event");
    } else {
      show(code === 1000 ? "" : "failed", code === 1000 ? "not connected" : `closed (${code})`);
      line(`closed, ${code}${why ? ": " + why : ""}`, "event");
    }
  };
}

$("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket) socket.close(1000);
  else connect();
});

send.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  const value = $("message").value;
  try {
    JSON.parse(value);
    $("problem").textContent = "";
    socket.send(value);
  } catch (error) {
    $("problem").textContent = `Not JSON, so it was not sent: ${error.message}. Text goes in quotes: ${JSON.stringify(value)}`;
  }
});

$("channel").addEventListener("input", describe);
describe();
show("", "not connected");
connect();
