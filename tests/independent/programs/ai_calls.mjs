// Makes calls with Vercel's `ai` and its provider for compatible gateways. In and out as in openai_calls.py.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  embedMany,
  generateObject,
  generateText,
  jsonSchema,
  RetryError,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from "ai";
import { text as textOf } from "node:stream/consumers";

globalThis.AI_SDK_LOG_WARNINGS = false; // They would be written among the answers.

const CITY = jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] });
const WEATHER = tool({ inputSchema: CITY, execute: async ({ city }) => `sunny in ${city}` });
const TEMPERATURE = jsonSchema({
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "number" }, sky: { enum: ["clear", "cloudy"] } },
  required: ["city", "degrees", "sky"],
  additionalProperties: false,
});

const counts = ({ inputTokens, outputTokens }) => ({ prompt_tokens: inputTokens, completion_tokens: outputTokens });
const ignore = () => {}; // Errors of a stream are read from its parts; by default they are written to the console too.

async function readStream(result, told) {
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") told.text += part.text;
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new DOMException("aborted", "TimeoutError");
  }
  told.usage = counts(await result.totalUsage);
}

const kinds = {
  async whole(options, told) {
    const { text, usage } = await generateText(options);
    Object.assign(told, { text, usage: counts(usage) });
  },
  stream: (options, told) => readStream(streamText({ ...options, onError: ignore }), told),
  // The tool is called, its result sent back, and the answer read: two calls of the model.
  async tools(options, told) {
    const { text, steps, totalUsage } = await generateText({
      ...options,
      tools: { get_weather: WEATHER },
      stopWhen: stepCountIs(2),
    });
    const results = steps.flatMap(({ toolResults }) => toolResults.map(({ output }) => output));
    Object.assign(told, { text: [...results, text].join("\n"), usage: counts(totalUsage) });
  },
  stream_tools: (options, told) =>
    readStream(streamText({ ...options, tools: { get_weather: WEATHER }, stopWhen: stepCountIs(2) }), told),
  async object(options, told) {
    const { object, usage } = await generateObject({ ...options, schema: TEMPERATURE });
    Object.assign(told, { text: JSON.stringify(object), usage: counts(usage) });
  },
  async stream_object(options, told) {
    const result = streamObject({ ...options, schema: TEMPERATURE, onError: ignore });
    for await (const part of result.partialObjectStream) told.text = JSON.stringify(part);
    told.usage = counts(await result.usage);
  },
};

async function embeddings(provider, { model, prompt }, told) {
  const values = [prompt, "and another"];
  const { embeddings, usage } = await embedMany({ model: provider.embeddingModel(model), values });
  told.text = JSON.stringify(embeddings.map(({ length }) => length));
  told.usage = { prompt_tokens: usage.tokens, completion_tokens: 0 };
}

// Text, usage and error of one call, as the client has them.
async function made(call) {
  const told = { text: "", usage: null, error: null };
  const gateway = { name: "credence", baseURL: call.url, apiKey: call.key };
  const provider = createOpenAICompatible({ ...gateway, includeUsage: true, supportsStructuredOutputs: true });
  const options = { model: provider.chatModel(call.model), prompt: call.prompt };
  if (call.timeout_s) options.abortSignal = AbortSignal.timeout(call.timeout_s * 1000);
  try {
    if (call.kind === "embeddings") await embeddings(provider, call, told);
    else await kinds[call.kind](options, told);
  } catch (error) {
    const cause = RetryError.isInstance(error) ? error.lastError : error;
    // What the gateway says in the middle of a stream arrives as it was sent, and is no Error.
    told.error = { kind: error.name ?? "event", status: APICallError.isInstance(cause) ? cause.statusCode : null };
  }
  return told;
}

const calls = Object.entries(JSON.parse(await textOf(process.stdin)));
const told = await Promise.all(calls.map(async ([name, call]) => [name, await made(call)]));
process.stdout.write(JSON.stringify(Object.fromEntries(told)));
