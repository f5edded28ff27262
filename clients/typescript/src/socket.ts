import { ClientError } from "./errors.js";

/** What of a WebSocket is used: the browser's or Node's, or that of the package `ws`. */
export interface SocketLike {
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  send(data: string): void;
  close(code?: number): void;
}

/** Browsers and Node.js 22 have sockets of their own; Node.js 20 takes those of the package `ws`. */
export async function openSocket(url: string): Promise<SocketLike> {
  if (typeof globalThis.WebSocket === "function") {
    return new globalThis.WebSocket(url);
  }
  let ws: typeof import("ws");
  try {
    ws = await import("ws");
  } catch (cause) {
    throw new ClientError("There is no WebSocket here: install the package `ws`, or give `socket`.", { cause });
  }
  return new ws.WebSocket(url);
}
