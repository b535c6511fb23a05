// Says what the parser of AsyncAPI itself finds wrong with a document; nothing when it is right.
"use strict";
const fs = require("fs");
const { Parser } = require("@asyncapi/parser");

new Parser().parse(fs.readFileSync(process.argv[2], "utf8")).then(({ document, diagnostics }) => {
  // 0 is an error; what follows is advice.
  const wrong = diagnostics.filter((diagnostic) => diagnostic.severity === 0);
  for (const { code, message, path } of wrong) console.error(`${code} ${path.join("/")}: ${message}`);
  console.log(document ? `${document.version()} ${document.allMessages().length}` : "no document");
  process.exitCode = wrong.length === 0 && document ? 0 : 1;
});
