// Videos over OpenAI's wire: POST /v1/videos, GET /v1/videos/{id}, GET /v1/videos/{id}/content. aimock's own come as fixed
// answers without a file; a real provider's take their time, and these take a few looks.
// [[video-fails]] in the prompt has one fail, [[video-stuck]] has it never be done, [[refused]] refuses it.
import { createHash } from "node:crypto";

const LOOKS_UNTIL_DONE = 3;
const BODY_BYTES_MAX = 64 * 1024;
const VIDEOS_MAX = 1_000; // The oldest is forgotten, as a provider's expire.
const PATH = /^\/v1\/videos(?:\/([A-Za-z0-9_-]+)(\/content)?)?$/;
// An empty MP4: a box that says what sort of file it is, and one that is free.
const MP4 = Buffer.from("0000001c667479706d703432000000006d70343269736f6d61766331" + "0000000866726565", "hex");

const videos = new Map();

// Answers requests for videos, and leaves all others to the server.
export function serveVideos(server) {
  const others = server.listeners("request");
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    const found = PATH.exec(new URL(request.url, "http://standin").pathname);
    if (!found) return others.forEach((other) => other.call(server, request, response));
    const [, id, content] = found;
    if (request.method === "POST" && !id) return void order(request, response);
    if (request.method === "GET" && id) return content ? send(response, id) : look(response, id);
    return refuse(response, 405, "method_not_allowed", "This is not offered.");
  });
}

async function order(request, response) {
  let text = "";
  for await (const piece of request) text = (text + piece).slice(0, BODY_BYTES_MAX);
  const { model, prompt = "", seconds = "4", size = "720x1280" } = JSON.parse(text);
  if (prompt.includes("[[refused]]")) return refuse(response, 400, "moderation_blocked", "This prompt is not allowed.");
  const key = request.headers["idempotency-key"] ?? `${videos.size}:${text}`;
  const id = `video_${createHash("sha256").update(key).digest("hex").slice(0, 32)}`;
  if (!videos.has(id)) videos.set(id, { id, model, prompt, seconds, size, looks: 0 });
  if (videos.size > VIDEOS_MAX) videos.delete(videos.keys().next().value);
  return answer(response, told(videos.get(id)));
}

function look(response, id) {
  const video = videos.get(id);
  if (!video) return refuse(response, 404, "not_found", "There is no such video.");
  video.looks += 1;
  return answer(response, told(video));
}

function send(response, id) {
  const video = videos.get(id);
  if (!video || told(video).status !== "completed") return refuse(response, 404, "not_found", "It is not there.");
  response.writeHead(200, { "content-type": "video/mp4" });
  return response.end(MP4);
}

function told({ id, model, prompt, seconds, size, looks }) {
  const isStuck = prompt.includes("[[video-stuck]]");
  const isDone = looks >= LOOKS_UNTIL_DONE && !isStuck;
  const fails = isDone && prompt.includes("[[video-fails]]");
  const status = fails ? "failed" : isDone ? "completed" : looks > 0 ? "in_progress" : "queued";
  const progress = isDone ? 100 : isStuck ? 1 : Math.floor((100 * looks) / LOOKS_UNTIL_DONE);
  const error = fails ? { code: "generation_failed", message: "Nothing could be made of this." } : null;
  return { id, object: "video", model, status, progress, seconds, size, error };
}

function answer(response, body, status = 200) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

const refuse = (response, status, code, message) =>
  answer(response, { error: { message, type: "invalid_request_error", code } }, status);
