import type { Client } from "./client.js";
import { ApiError, UnreachableError, WaitTimeoutError, type Job } from "./errors.js";
import { Live, hasEnded } from "./live.js";
import type { SocketLike } from "./socket.js";

export interface WaitOptions {
  /** By default it waits for as long as it takes. */
  timeoutMs?: number;
  /** Gives up waiting; the job goes on. */
  signal?: AbortSignal;
  /** As for `Live`. */
  socket?: (url: string) => SocketLike;
}

/**
 * Milliseconds between two questions, doubled each time. A socket that works tells of the end at once; jobs that it
 * does not tell of (those of others, deliveries) are found by asking.
 */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** Answers of a server that is away for a while. */
const PASSING = new Set([429, 502, 503, 504]);

/** The job in its final state: a socket tells of the end, and asking now and then finds what the socket missed. */
export async function waitFor(client: Client, jobId: string, options: WaitOptions): Promise<Job> {
  const { timeoutMs, signal, socket } = options;
  const end = timeoutMs === undefined ? Infinity : Date.now() + timeoutMs;
  const bell = new Bell();
  const ring = () => bell.ring();
  const live = new Live({
    client,
    onJob: (job) => job.job_id === jobId && hasEnded(job.state) && bell.ring(),
    // What the socket cannot do, asking does: a key that is bad is told by the next question.
    onStatus: () => undefined,
    ...(socket ? { socket } : {}),
  });
  signal?.addEventListener("abort", ring);
  let told: Job | undefined;
  try {
    for (let times = 0; ; times += 1) {
      signal?.throwIfAborted();
      told = await ask(client, jobId, told, signal);
      if (hasEnded(told.state)) {
        return told;
      }
      const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** times);
      const pause = Math.min(most * (0.5 + Math.random() / 2), end - Date.now());
      if (pause <= 0) {
        throw new WaitTimeoutError(jobId, timeoutMs!, told);
      }
      live.start();
      await bell.wait(pause);
    }
  } finally {
    signal?.removeEventListener("abort", ring);
    live.close();
  }
}

async function ask(client: Client, jobId: string, before: Job | undefined, signal?: AbortSignal): Promise<Job> {
  try {
    const params = { path: { job_id: jobId } };
    const { data } = await client.GET("/api/v1/jobs/{job_id}", { params, ...(signal ? { signal } : {}) });
    return data!;
  } catch (error) {
    // The first question has to be answered; later ones may fail while the server is away.
    const passes = error instanceof UnreachableError || (error instanceof ApiError && PASSING.has(error.status));
    if (before && passes) {
      return before;
    }
    throw error;
  }
}

/** Ends a pause early; what rings before anybody waits is not lost. */
class Bell {
  private rung = false;
  private wake: (() => void) | undefined;

  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  async wait(milliseconds: number): Promise<void> {
    if (!this.rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.rung = false;
  }
}
