import { BadUrlError } from "./errors.js";

/** Without the slash at the end that people add. Throws `BadUrlError`. */
export function serverUrl(given: string): string {
  const parsed = /^https?:\/\//i.test(given) ? parse(given) : undefined;
  if (parsed) {
    return given.replace(/\/+$/, "");
  }
  const shown = given.startsWith("aq_") || given.includes("@") ? "What was given as `url`" : JSON.stringify(given);
  throw new BadUrlError(
    `${shown} is not the URL of a server: it has to begin with http:// or https:// and to name a host, ` +
      "as in http://127.0.0.1:8000.",
  );
}

function parse(given: string): URL | undefined {
  try {
    return new URL(given);
  } catch {
    return undefined;
  }
}
