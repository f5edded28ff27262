import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];
export type Job = components["schemas"]["Job"];

/** What all errors of this client are. */
export class ClientError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The server said no. `code` is the name to match on, `advice` says what to do. */
export class ApiError extends ClientError {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(`${status} ${problem.code ?? "unknown"}: ${problem.detail ?? ""} ${problem.advice ?? ""}`.trimEnd());
  }

  get code(): string {
    return this.problem.code ?? "unknown";
  }

  get advice(): string {
    return this.problem.advice ?? "";
  }
}

/** What was given as the server's URL is none. Nothing was sent. */
export class BadUrlError extends ClientError {}

/** No answer came: the connection could not be made, or broke. `cause` has the details. */
export class UnreachableError extends ClientError {
  constructor(
    method: string,
    /** Without its query. */
    readonly url: string,
    cause: unknown,
  ) {
    super(`No answer from ${method} ${url}: ${why(cause)}. Look whether the server runs at this address.`, { cause });
  }
}

/** The job did not end in the time that was given. `job` is what was last told of it. */
export class WaitTimeoutError extends ClientError {
  constructor(
    jobId: string,
    timeoutMs: number,
    readonly job: Job | undefined,
  ) {
    const told = job ? `is ${job.state} at ${Math.round(job.progress * 100)} %` : "could not be asked about";
    super(`Job ${jobId} ${told} after ${timeoutMs / 1000} s. It goes on: wait again, or cancel it.`);
  }
}

/** A failed fetch says "fetch failed"; what happened stands in its cause. */
function why(cause: unknown): string {
  const inner = cause instanceof Error ? cause.cause : undefined;
  const code = inner instanceof Error ? (inner.message || (inner as { code?: string }).code) : undefined;
  return code || (cause instanceof Error ? cause.message : String(cause));
}
