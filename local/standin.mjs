// The model stand-in on 127.0.0.1:<port given as argument>: aimock, without any model. It speaks OpenAI's wire under /v1,
// Anthropic's under /v1/messages and Google's under /v1beta.
// Jobs are answered by standin_kinds.mjs, videos by standin_videos.mjs. Started by local/standin.py. A magic word in the last user message selects how the call goes; tests rely on them.
// Without one, a tool that is forced or named is called, JSON that is asked for is made up, and all else is quoted.
import { createServer } from "@copilotkit/aimock";
import { kindFixtures } from "./standin_kinds.mjs";
import { meantTool, objectFor, valueFor } from "./standin_values.mjs";
import { serveVideos } from "./standin_videos.mjs";

const QUOTE_CHARS_MAX = 120;
const CHARS_PER_TOKEN = 4; // aimock's own estimate, used when a fixture states no usage.
const LONG_CHUNKS = 200;
const LONG_CHUNK_CHARS = 20;
const JOURNAL_ENTRIES_MAX = 100; // Nobody reads it, and load tests would fill the memory with it.
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const RECORDED = {
  text: "Hello from the stand-in.",
  duration: 2.5,
  segments: [{ id: 0, start: 0, end: 2.5, text: " Hello from the stand-in." }],
};
const KEEP_ALIVE_MS = 120_000; // Longer than clients keep idle connections, so none is closed under a request.

function lastUserText(request) {
  const message = request.messages.findLast(({ role }) => role === "user");
  const parts = Array.isArray(message?.content) ? message.content : [{ text: message?.content }];
  return parts.map(({ text }) => text ?? "").join("");
}

// A capped answer ends with finish_reason "length", as a real model's does.
function capped(request, content) {
  const tokensMax = request.max_completion_tokens ?? request.max_tokens;
  const charsMax = Number.isInteger(tokensMax) ? tokensMax * CHARS_PER_TOKEN : Infinity;
  return content.length > charsMax ? { content: content.slice(0, charsMax), finishReason: "length" } : { content };
}

function friendlyAnswer(request) {
  // aimock cuts chunks at UTF-16 units, so a character of two units could arrive in halves, which no real model sends.
  const prompt = lastUserText(request).replace(/[\u{10000}-\u{10FFFF}]/gu, "□");
  const quote = prompt.length > QUOTE_CHARS_MAX ? `${prompt.slice(0, QUOTE_CHARS_MAX)}…` : prompt;
  return capped(request, `Hello from Credence's local stand-in: no model was called. You wrote: “${quote}”.`);
}

function longAnswer(request) {
  const text = "The stand-in keeps talking so that a test can watch, meter and interrupt it. ";
  return capped(request, text.repeat(LONG_CHUNKS).slice(0, LONG_CHUNKS * LONG_CHUNK_CHARS));
}

function toolCall(request) {
  return { toolCalls: [{ name: request.tools?.[0]?.function?.name ?? "get_weather", arguments: '{"city":"Paris"}' }] };
}

const toolOf = (request) => meantTool(request, lastUserText(request));

function meantToolCall(request) {
  const { name, parameters } = toolOf(request);
  return { toolCalls: [{ name, arguments: JSON.stringify(valueFor(parameters, lastUserText(request))) }] };
}

function formedAnswer(request) {
  const prompt = lastUserText(request);
  const schema = request.response_format.json_schema?.schema;
  return capped(request, JSON.stringify(schema ? valueFor(schema, prompt) : objectFor(prompt)));
}

// The JSON after the word, as a model that is held to a schema gives it.
function jsonAnswer(request) {
  return capped(request, lastUserText(request).replace("[[json]]", "").trim());
}

const answerWithUsage = (tokens) => (request) => ({
  ...friendlyAnswer(request),
  usage: { prompt_tokens: tokens, completion_tokens: tokens },
});
const refusal = (status, type, code, message, more = {}) => ({ status, error: { type, code, message }, ...more });
const onWord = (word, response, options = {}) => ({
  match: { endpoint: "chat", userMessage: `[[${word}]]`, ...options.match },
  response,
  ...options.delivery,
});

// The first match wins; the last one takes everything.
const fixtures = [
  onWord("usage-huge", answerWithUsage(10_000_000)),
  onWord("usage-zero", answerWithUsage(0)),
  onWord("usage-negative", answerWithUsage(-1_000)),
  onWord("tool", toolCall, { match: { hasToolResult: false } }),
  onWord("json", jsonAnswer),
  onWord("empty", { content: "" }),
  onWord("long", longAnswer, { delivery: { chunkSize: LONG_CHUNK_CHARS, latency: 5 } }),
  onWord("cut", friendlyAnswer, { delivery: { truncateAfterChunks: 4, latency: 5 } }),
  onWord("malformed", friendlyAnswer, { delivery: { chaos: { malformedRate: 1 } } }),
  onWord("slow", friendlyAnswer, { delivery: { chaos: { latencyMs: 2_000 } } }),
  onWord("error-401", refusal(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")),
  onWord("error-429", refusal(429, "requests", "rate_limit_exceeded", "Rate limit reached.", { retryAfter: 1 })),
  onWord("error-500", refusal(500, "server_error", null, "The server had an error processing your request.")),
  ...kindFixtures(lastUserText, capped),
  {
    match: { endpoint: "chat", hasToolResult: false, predicate: (request) => toolOf(request) !== undefined },
    response: meantToolCall,
  },
  {
    match: { endpoint: "chat", predicate: ({ response_format: form }) => form?.type?.startsWith("json") },
    response: formedAnswer,
  },
  { match: { endpoint: "chat", predicate: () => true }, response: friendlyAnswer },
  { match: { endpoint: "transcription", predicate: () => true }, response: { transcription: RECORDED } },
  {
    match: { endpoint: "image", userMessage: "[[refused]]" },
    response: refusal(400, "invalid_request_error", "moderation_blocked", "This prompt is not allowed."),
  },
  { match: { endpoint: "image", predicate: () => true }, response: { images: [{ b64Json: PIXEL }] } },
];

const { server } = await createServer(fixtures, {
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  logLevel: "warn",
  journalMaxEntries: JOURNAL_ENTRIES_MAX,
});
serveVideos(server);
server.keepAliveTimeout = KEEP_ALIVE_MS;

// A key that begins like this is none: it is refused as OpenAI does it, which quotes it.
const DEAD = /^Bearer (sk-dead\S*)$/;
const [answer] = server.listeners("request");
server.removeAllListeners("request");
server.on("request", (request, response) => {
  const dead = DEAD.exec(request.headers.authorization ?? "")?.[1];
  if (dead === undefined) return answer(request, response);
  const error = { message: `Incorrect API key provided: ${dead}.`, type: "invalid_request_error", code: "invalid_api_key" };
  response.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify({ error }));
});
