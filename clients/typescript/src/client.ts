import createFetchClient, { type Client as FetchClient, type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type Problem = components["schemas"]["Problem"];
export type Client = FetchClient<paths>;

/** The server said no. `code` is the name to match on, `advice` says what to do. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(`${status} ${problem.code ?? "unknown"}: ${problem.detail ?? ""}`);
    this.name = "ApiError";
  }

  get code(): string {
    return this.problem.code ?? "unknown";
  }

  get advice(): string {
    return this.problem.advice ?? "";
  }
}

export interface ClientOptions {
  /** Where the server is, without `/api/v1`. */
  url: string;
  /** An API key or an access token, or what fetches the one that is valid now. */
  token: string | (() => string | Promise<string>);
  fetch?: typeof globalThis.fetch;
}

/** Calls by path: `client.GET("/api/v1/jobs/{job_id}", {params: {path: {job_id}}})`. Throws `ApiError`. */
export function createClient(options: ClientOptions): Client {
  const { url, token, fetch } = options;
  const client = createFetchClient<paths>({ baseUrl: url.replace(/\/+$/, ""), ...(fetch ? { fetch } : {}) });
  const middleware: Middleware = {
    async onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${typeof token === "string" ? token : await token()}`);
      return request;
    },
    async onResponse({ response }) {
      if (!response.ok) {
        throw new ApiError(response.status, await problemOf(response));
      }
    },
  };
  client.use(middleware);
  return client;
}

async function problemOf(response: Response): Promise<Partial<Problem>> {
  try {
    return (await response.clone().json()) as Partial<Problem>;
  } catch {
    return { detail: response.statusText };
  }
}
