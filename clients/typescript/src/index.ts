/** A typed client of the Arqueduct API: calls by path, uploads, waiting, and jobs as they happen. */

export { createClient } from "./client.js";
export type {
  Accepted,
  Client,
  ClientOptions,
  FileOfSet,
  FileSetFilled,
  FileSetOptions,
  FileSetUploadOptions,
  UploadOptions,
} from "./client.js";
export { ApiError, BadUrlError, ClientError, UnreachableError, WaitTimeoutError } from "./errors.js";
export type { Job, Problem } from "./errors.js";
export { Live, hasEnded, type JobMessage, type LiveOptions, type LiveStatus } from "./live.js";
export type { components, operations, paths } from "./schema.js";
export type { SocketLike } from "./socket.js";
export type { WaitOptions } from "./wait.js";
