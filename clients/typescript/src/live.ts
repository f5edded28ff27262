import type { Client } from "./client.js";
import { ApiError, ClientError, UnreachableError } from "./errors.js";
import { openSocket, type SocketLike } from "./socket.js";
import { serverUrl } from "./url.js";

/** The full state of one job at one moment. Within a job `seq` strictly grows. */
export interface JobMessage {
  v: number;
  /** `<job_id>:<seq>`; on the wire it is `id`. The job is `job_id`. */
  message_id: string;
  type: string;
  tenant_id: string;
  job_id: string;
  kind: string;
  /** The job of the project or the batch that it belongs to. */
  parent_id: string | null;
  document_id: string | null;
  document_name: string | null;
  state: string;
  stage: string;
  /** 0 … 1 over the whole job; never goes backwards. */
  progress: number;
  message: string | null;
  details: Record<string, unknown>;
  eta_seconds: number | null;
  /** Seconds at the least, and at the most. */
  eta_range: [number, number] | null;
  error: Record<string, unknown> | null;
  attempt: number;
  seq: number;
  timestamp: string;
}

export type LiveStatus = "connecting" | "open" | "waiting" | "closed";

export interface LiveOptions {
  client: Client;
  onJob: (job: JobMessage) => void;
  /**
   * `open` once the first state is there; `waiting` until the next try; `closed` for good, with the error if it is
   * one that trying again does not mend, such as a bad key. Where this is not given, errors go to `console.error`.
   */
  onStatus?: (status: LiveStatus, error?: ClientError) => void;
  /** By default where the client's calls go. */
  url?: string;
  /** Makes the socket; by default the one of the browser or of Node.js, or that of the package `ws`. */
  socket?: (url: string) => SocketLike;
  random?: () => number;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** Times the server's heartbeat; then a silent connection counts as dead, though nobody closed it. */
const SILENCE = 2.5;
const HEARTBEAT_MS = 20_000;
/** Jobs whose last `seq` is remembered. */
const MOST_KNOWN = 10_000;

const OF_JOBS = new Set([
  "job_queued",
  "job_progress",
  "batch_progress",
  "job_completed",
  "job_failed",
  "job_cancelled",
]);
const ENDED = new Set(["completed", "partially_completed", "failed", "cancelled"]);

/** Whether a job in this state is over; only a retry that somebody asks for begins it anew. */
export function hasEnded(state: string): boolean {
  return ENDED.has(state);
}

type WireJob = Omit<JobMessage, "message_id"> & { id: string };

interface Message {
  type: string;
  heartbeat_seconds?: number;
  connection_id?: string;
  jobs?: WireJob[];
}

/**
 * Jobs as they happen, over a socket that comes back by itself.
 *
 * Each connection is opened with a ticket of its own, so no key is ever in a URL, and begins with the state of every
 * job that matters. What is not newer than what was told is dropped, so nothing goes backwards and nothing is missed.
 */
export class Live {
  private readonly known = new Map<string, number>();
  private socket: SocketLike | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pause: ReturnType<typeof setTimeout> | undefined;
  private tries = 0;
  private silenceMs = HEARTBEAT_MS * SILENCE;
  private isStarted = false;
  private isClosed = false;
  private lastComplaint = "";
  private readonly address: string;
  /** The server's name for the last connection: it frees what that one still holds. */
  private connection: string | undefined;
  reconnects = 0;

  /** Throws `BadUrlError`. */
  constructor(private readonly options: LiveOptions) {
    const url = serverUrl(options.url ?? options.client.url);
    this.address = `${url.replace(/^http/i, "ws")}/api/v1/ws`;
  }

  /** Opens the connection, and again whenever it ends. */
  start(): this {
    if (!this.isStarted) {
      this.isStarted = true;
      void this.connect();
    }
    return this;
  }

  /** For good. */
  close(error?: ClientError): void {
    if (this.isClosed) {
      return;
    }
    this.isClosed = true;
    clearTimeout(this.timer);
    clearTimeout(this.pause);
    this.socket?.close(1000);
    this.tellStatus("closed", error);
  }

  private tellStatus(status: LiveStatus, error?: ClientError): void {
    if (this.options.onStatus) {
      this.options.onStatus(status, error);
    } else if (error && error.message !== this.lastComplaint) {
      console.error(`${error.name}: ${error.message}`);
    }
    this.lastComplaint = error?.message ?? (status === "open" ? "" : this.lastComplaint);
  }

  private async connect(): Promise<void> {
    this.tellStatus("connecting");
    try {
      const { data } = await this.options.client.POST("/api/v1/ws/tickets");
      if (!this.isClosed) {
        await this.open(data!.ticket);
      }
    } catch (error) {
      const known = error instanceof ClientError ? error : new ClientError(String(error), { cause: error });
      if (mayPass(error)) {
        this.wait(known);
      } else {
        this.close(known);
      }
    }
  }

  private async open(ticket: string): Promise<void> {
    const resume = this.connection ? `&resume=${encodeURIComponent(this.connection)}` : "";
    const address = `${this.address}?ticket=${encodeURIComponent(ticket)}${resume}`;
    const socket = await (this.options.socket ?? openSocket)(address);
    socket.onerror = () => undefined;
    if (this.isClosed) {
      socket.close();
      return;
    }
    this.socket = socket;
    socket.onmessage = (event: { data: unknown }) => this.hear(String(event.data));
    socket.onclose = ({ code }: { code?: number }) => {
      if (this.socket === socket) {
        this.wait(new ClientError(`The socket at ${this.address} was closed with ${code}. It is opened again.`));
      }
    };
    this.listen();
  }

  private wait(error?: ClientError): void {
    clearTimeout(this.timer);
    this.socket = undefined;
    if (this.isClosed) {
      return;
    }
    this.tellStatus("waiting", error);
    const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.tries);
    this.tries += 1;
    this.reconnects += 1;
    this.pause = setTimeout(() => void this.connect(), (this.options.random ?? Math.random)() * most);
  }

  /** Asks a connection that is silent, and gives up one that does not answer. */
  private listen(asked = false): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (asked) {
        const dead = this.socket;
        this.wait(new ClientError(`The socket at ${this.address} says nothing any more. It is opened again.`));
        dead?.close();
      } else {
        this.ping();
        this.listen(true);
      }
    }, this.silenceMs / 2);
  }

  /** A socket that does not open in time cannot send; it is given up like one that does not answer. */
  private ping(): void {
    try {
      this.socket?.send("ping");
    } catch {
      return;
    }
  }

  private hear(text: string): void {
    this.listen();
    if (text === "pong") {
      return;
    }
    const message = JSON.parse(text) as Message;
    if (message.type === "hello") {
      this.silenceMs = (message.heartbeat_seconds ?? HEARTBEAT_MS / 1000) * 1000 * SILENCE;
      this.connection = message.connection_id;
    } else if (message.type === "snapshot") {
      this.tries = 0;
      (message.jobs ?? []).forEach((job) => this.tell(job));
      this.tellStatus("open");
    } else if (OF_JOBS.has(message.type)) {
      this.tell(message as unknown as WireJob);
    }
  }

  private tell({ id, ...job }: WireJob): void {
    if (job.seq <= (this.known.get(job.job_id) ?? -1)) {
      return;
    }
    this.known.delete(job.job_id);
    this.known.set(job.job_id, job.seq);
    if (this.known.size > MOST_KNOWN) {
      this.known.delete(this.known.keys().next().value!);
    }
    this.options.onJob({ message_id: id, ...job });
  }
}

/** Whether trying again may help: not against a key that is refused, nor where there are no sockets. */
function mayPass(error: unknown): boolean {
  if (error instanceof ApiError) {
    return error.status !== 401 && error.status !== 403;
  }
  return error instanceof UnreachableError || !(error instanceof ClientError);
}
