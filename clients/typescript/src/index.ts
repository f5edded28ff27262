/** A typed client of the Arqueduct API: calls by path, and jobs as they happen. */

export { ApiError, createClient, type Client } from "./client.js";
export { Live, type JobMessage, type LiveOptions } from "./live.js";
export type { components, operations, paths } from "./schema.js";
