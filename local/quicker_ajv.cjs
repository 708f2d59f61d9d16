// Preloaded into firebase-tools. Its Auth emulator compiles one validator per parameter of its OpenAPI document, and
// before each of them the validator of JSON Schema itself, only to check that the document is well formed: 10 of the
// 12 seconds the emulator needs to start. The document ships with the pinned package, so that check is left out here;
// requests are validated as before.
const { createRequire } = require("node:module");

const fromTools = createRequire(process.argv[1]);
const fromExpress = createRequire(fromTools.resolve("exegesis-express"));
const fromExegesis = createRequire(fromExpress.resolve("exegesis"));
fromExegesis("ajv/dist/core").default.prototype.validateSchema = () => true;
