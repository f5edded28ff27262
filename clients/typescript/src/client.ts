import createFetchClient, { type Client as FetchClient, type Middleware } from "openapi-fetch";
import { ApiError, ClientError, UnreachableError, type Job, type Problem } from "./errors.js";
import type { components, operations, paths } from "./schema.js";
import { serverUrl } from "./url.js";
import { waitFor, type WaitOptions } from "./wait.js";

export type Accepted = components["schemas"]["Accepted"];
export type FileSetFilled = components["schemas"]["FileSetFilled"];
type UploadQuery = NonNullable<operations["create_document"]["parameters"]["query"]>;

export interface UploadOptions {
  /** Of the document; by default the name of the `File`. A `Blob` has none, so it needs one. */
  name?: string;
  priority?: NonNullable<UploadQuery["priority"]>;
  /** The same for each try of one upload: the server then takes the file in once. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** A file, or a path and what is in it. A `File` out of a folder that was chosen in a page goes by its path there. */
export type FileOfSet = File | { path: string; content: Blob };

export interface FileSetUploadOptions {
  /** The same for each try: the server then takes the files in once. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export interface FileSetOptions extends FileSetUploadOptions {
  name: string;
  description?: string;
  metadata?: Record<string, unknown>;
}

/** What an answer is read as unless a call says `parseAs`, and so what its type is. */
type Read = "application/json";

/**
 * Calls by path, `client.GET("/api/v1/jobs/{job_id}", {params: {path: {job_id}}})`, and what takes several of them. An
 * answer that is not JSON has to be asked for: `parseAs: "text"` for CSV, `"blob"` for the bytes of a file.
 */
export interface Client extends FetchClient<paths, Read> {
  /** Where the server is, without a slash at its end. */
  readonly url: string;
  /** Takes a file in; `job.id` of the answer is what to `wait` for. */
  upload(file: Blob, options?: UploadOptions): Promise<Accepted>;
  /** Makes a file set, with an answer for each file; one that is refused hinders no other. */
  createFileSet(files: readonly FileOfSet[], options: FileSetOptions): Promise<FileSetFilled>;
  /** Takes more files into a set, with an answer for each. Some hundred at a time: what breaks is soon sent again. */
  uploadToFileSet(
    fileSetId: string,
    files: readonly FileOfSet[],
    options?: FileSetUploadOptions,
  ): Promise<FileSetFilled>;
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
  const client = createFetchClient<paths, Read>({ baseUrl: url, ...(fetch ? { fetch } : {}) });
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
    createFileSet: (files: readonly FileOfSet[], given: FileSetOptions) => createFileSet(whole, files, given),
    uploadToFileSet: (id: string, files: readonly FileOfSet[], given: FileSetUploadOptions = {}) =>
      uploadToFileSet(whole, id, files, given),
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
      ...keyOf(options),
    },
    ...asForm({ file: "" }, () => [["file", file, name]]),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return data!;
}

async function createFileSet(
  client: Client,
  files: readonly FileOfSet[],
  options: FileSetOptions,
): Promise<FileSetFilled> {
  const { name, description, metadata } = options;
  const fields: Parts = [
    ["name", name],
    ...(description === undefined ? [] : ([["description", description]] as const)),
    ...(metadata === undefined ? [] : ([["metadata", JSON.stringify(metadata)]] as const)),
  ];
  const { data } = await client.POST("/api/v1/file-sets", {
    params: { ...keyOf(options) },
    ...asForm({ name }, () => [...fields, ...partsOf(files)]),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return data!;
}

async function uploadToFileSet(
  client: Client,
  fileSetId: string,
  files: readonly FileOfSet[],
  options: FileSetUploadOptions,
): Promise<FileSetFilled> {
  const { data } = await client.POST("/api/v1/file-sets/{file_set_id}/files", {
    params: { path: { file_set_id: fileSetId }, ...keyOf(options) },
    ...asForm({ files: [] }, () => partsOf(files)),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return data!;
}

type Parts = readonly (readonly [field: string, text: string] | readonly [field: string, file: Blob, name: string])[];

/** The type of a file in the description is that of its text; what goes out is the form. */
function asForm<Body>(body: Body, parts: () => Parts): { body: Body; bodySerializer: () => FormData } {
  const bodySerializer = () => {
    const form = new FormData();
    for (const part of parts()) {
      if (part.length === 3) {
        form.append(part[0], part[1], part[2]);
      } else {
        form.append(part[0], part[1]);
      }
    }
    return form;
  };
  return { body, bodySerializer };
}

function partsOf(files: readonly FileOfSet[]): Parts {
  return files.map((file) =>
    "content" in file
      ? (["files", file.content, file.path] as const)
      : (["files", file, file.webkitRelativePath || file.name] as const),
  );
}

function keyOf(options: FileSetUploadOptions): { header?: { "Idempotency-Key": string } } {
  return options.idempotencyKey ? { header: { "Idempotency-Key": options.idempotencyKey } } : {};
}

async function problemOf(response: Response): Promise<Partial<Problem>> {
  try {
    return (await response.clone().json()) as Partial<Problem>;
  } catch {
    return { detail: response.statusText };
  }
}
