// A program for child.test.ts: says what it was given and where it is.
process.stdout.write(
  `${JSON.stringify({ args: process.argv.slice(2), echo: process.env.ECHO, url: import.meta.url })}\n`,
)
