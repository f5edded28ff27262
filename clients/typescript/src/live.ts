import { ApiError, type Client } from "./client.js";

/** The full state of one job at one moment. Within a job `seq` strictly grows. */
export interface JobMessage {
  v: number;
  id: string;
  type: string;
  tenant_id: string;
  job_id: string;
  kind: string;
  document_id: string | null;
  document_name: string | null;
  state: string;
  stage: string;
  /** 0 … 1 over the whole job; never goes backwards. */
  progress: number;
  message: string | null;
  details: Record<string, unknown>;
  eta_seconds: number | null;
  error: Record<string, unknown> | null;
  attempt: number;
  seq: number;
  timestamp: string;
}

/** What of a WebSocket is used: the browser's, or that of the package `ws`. */
export interface SocketLike {
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  send(data: string): void;
  close(code?: number): void;
}

export interface LiveOptions {
  url: string;
  client: Client;
  onJob: (job: JobMessage) => void;
  /** `open` once the first state is there. */
  onStatus?: (status: "connecting" | "open" | "waiting" | "closed", error?: ApiError) => void;
  /** Makes the socket; by default the browser's. */
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

interface Message {
  type: string;
  heartbeat_seconds?: number;
  connection_id?: string;
  jobs?: JobMessage[];
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
  private isClosed = false;
  /** The server's name for the last connection: it frees what that one still holds. */
  private connection: string | undefined;
  reconnects = 0;

  constructor(private readonly options: LiveOptions) {}

  /** Opens the connection, and again whenever it ends. */
  start(): this {
    void this.connect();
    return this;
  }

  /** For good. */
  close(error?: ApiError): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    clearTimeout(this.pause);
    this.socket?.close(1000);
    this.options.onStatus?.("closed", error);
  }

  private async connect(): Promise<void> {
    this.options.onStatus?.("connecting");
    let ticket: string;
    try {
      const { data } = await this.options.client.POST("/api/v1/ws/tickets");
      ticket = data!.ticket;
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        this.close(error);
      } else {
        this.wait();
      }
      return;
    }
    if (this.isClosed) {
      return;
    }
    const base = this.options.url.replace(/^http/, "ws").replace(/\/+$/, "");
    const resume = this.connection ? `&resume=${encodeURIComponent(this.connection)}` : "";
    const address = `${base}/api/v1/ws?ticket=${encodeURIComponent(ticket)}${resume}`;
    const socket = this.options.socket?.(address) ?? (new WebSocket(address) as SocketLike);
    this.socket = socket;
    socket.onmessage = (event: { data: unknown }) => this.hear(String(event.data));
    socket.onerror = () => undefined;
    socket.onclose = () => {
      if (this.socket === socket) {
        this.wait();
      }
    };
    this.listen();
  }

  private wait(): void {
    clearTimeout(this.timer);
    this.socket = undefined;
    if (this.isClosed) {
      return;
    }
    this.options.onStatus?.("waiting");
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
        this.wait();
        dead?.close();
      } else {
        this.socket?.send("ping");
        this.listen(true);
      }
    }, this.silenceMs / 2);
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
      this.options.onStatus?.("open");
    } else if (message.type.startsWith("job_")) {
      this.tell(message as unknown as JobMessage);
    }
  }

  private tell(job: JobMessage): void {
    if (job.seq <= (this.known.get(job.job_id) ?? -1)) {
      return;
    }
    this.known.delete(job.job_id);
    this.known.set(job.job_id, job.seq);
    if (this.known.size > MOST_KNOWN) {
      this.known.delete(this.known.keys().next().value!);
    }
    this.options.onJob(job);
  }
}
