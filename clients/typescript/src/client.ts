import createFetchClient, { type Client as FetchClient, type Middleware } from "openapi-fetch";
import { ApiError, ClientError, UnreachableError, type Job, type Problem } from "./errors.js";
import type { components, operations, paths } from "./schema.js";
import { serverUrl } from "./url.js";
import { waitFor, type WaitOptions } from "./wait.js";

export type Accepted = components["schemas"]["Accepted"];
type UploadQuery = NonNullable<operations["create_document"]["parameters"]["query"]>;

export interface UploadOptions {
  /** Of the document; by default the name of the `File`. A `Blob` has none, so it needs one. */
  name?: string;
  priority?: NonNullable<UploadQuery["priority"]>;
  /** The same for each try of one upload: the server then takes the file in once. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** Calls by path, `client.GET("/api/v1/jobs/{job_id}", {params: {path: {job_id}}})`, and what takes several of them. */
export interface Client extends FetchClient<paths> {
  /** Where the server is, without a slash at its end. */
  readonly url: string;
  /** Takes a file in; `job.id` of the answer is what to `wait` for. */
  upload(file: Blob, options?: UploadOptions): Promise<Accepted>;
  /**
   * The job once it has ended: `completed`, `partially_completed`, `failed` or `cancelled`. A job that is paused has
   * not ended. Throws `WaitTimeoutError`, and `ApiError` when there is no such job.
   */
  wait(jobId: string, options?: WaitOptions): Promise<Job>;
}

export interface ClientOptions {
  /** Where the server is, without `/api/v1`. */
  url: string;
  /** An API key or an access token, or what fetches the one that is valid now. */
  token: string | (() => string | Promise<string>);
  fetch?: typeof globalThis.fetch;
}

/** Throws `BadUrlError`; its calls throw `ApiError` and `UnreachableError`. */
export function createClient(options: ClientOptions): Client {
  const url = serverUrl(options.url);
  const { token, fetch } = options;
  const client = createFetchClient<paths>({ baseUrl: url, ...(fetch ? { fetch } : {}) });
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
    onError({ request, error }) {
      if (!request.signal.aborted) {
        return new UnreachableError(request.method, request.url.split("?")[0]!, error);
      }
    },
  };
  client.use(middleware);
  const whole: Client = Object.assign(client, {
    url,
    upload: (file: Blob, given: UploadOptions = {}) => upload(whole, file, given),
    wait: (jobId: string, given: WaitOptions = {}) => waitFor(whole, jobId, given),
  });
  return whole;
}

async function upload(client: Client, file: Blob, options: UploadOptions): Promise<Accepted> {
  const name = options.name ?? (file as Partial<File>).name;
  if (!name) {
    throw new ClientError("A Blob has no name: say what the document is called, upload(blob, { name: \"a.pdf\" }).");
  }
  const { data } = await client.POST("/api/v1/documents", {
    params: {
      ...(options.priority ? { query: { priority: options.priority } } : {}),
      ...(options.idempotencyKey ? { header: { "Idempotency-Key": options.idempotencyKey } } : {}),
    },
    // The type of a file in the description is that of its text; what goes out is the form.
    body: { file: "" },
    bodySerializer: () => {
      const form = new FormData();
      form.append("file", file, name);
      return form;
    },
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return data!;
}

async function problemOf(response: Response): Promise<Partial<Problem>> {
  try {
    return (await response.clone().json()) as Partial<Problem>;
  } catch {
    return { detail: response.statusText };
  }
}
