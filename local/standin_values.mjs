// What the stand-in fills a JSON schema with, where a model would think: what the prompt gives, else something made up.
const DEPTH_MAX = 16; // A schema may refer to itself.
const TELLING_LETTERS = 4; // Shorter words of a tool's name ("get", "my") are in prompts that do not mean the tool.

// The first tool that the request forces, or that the prompt names a word of: `get_weather` for "What is the weather?".
export function meantTool({ tools = [], tool_choice: choice = "auto" }, prompt) {
  const functions = tools.map((tool) => tool.function);
  if (choice === "none") return undefined;
  if (choice === "required") return functions[0];
  if (choice !== "auto") return functions.find(({ name }) => name === choice.function?.name);
  const said = prompt.toLowerCase();
  const words = (name) => name.toLowerCase().split(/[^a-z]+/).filter(({ length }) => length >= TELLING_LETTERS);
  return functions.find(({ name }) => words(name).some((word) => said.includes(word)));
}

// A value that fits the schema. Numbers and quoted words of the prompt are used up in their order.
export function valueFor(schema, prompt) {
  const hints = { numbers: (prompt.match(/-?\d+/g) ?? []).map(Number), quoted: quotedIn(prompt) };
  return fill(schema ?? {}, "value", { ...hints, root: schema ?? {} }, 0);
}

// `{"setup": ...}` for a prompt that asks for JSON with a 'setup'; what JSON mode without a schema gets.
export function objectFor(prompt) {
  return Object.fromEntries(quotedIn(prompt).map((name) => [name, madeUp(name)]));
}

const madeUp = (name) => `a made-up ${name}`;
const quotedIn = (prompt) => [...prompt.matchAll(/['"“]([^'"”]+)['"”]/g)].map(([, words]) => words);

function fill(schema, name, hints, depth) {
  if (depth > DEPTH_MAX) return null;
  const inside = (part, partName = name) => fill(part, partName, hints, depth + 1);
  if (schema.$ref) return inside(schema.$ref.split("/").slice(1).reduce((part, key) => part[key], hints.root));
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choices) return inside(choices.find(({ type }) => type !== "null") ?? { type: "null" });
  const type = [schema.type].flat().find((one) => one !== "null");
  switch (type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([key, part]) => [key, inside(part, key)]),
      );
    case "array":
      return [inside(schema.items ?? { type: "string" })];
    case "integer":
    case "number":
      return Math.min(Math.max(hints.numbers.shift() ?? 1, schema.minimum ?? -Infinity), schema.maximum ?? Infinity);
    case "boolean":
      return true;
    case "string":
      return hints.quoted.shift() ?? madeUp(name);
    default:
      return null;
  }
}
