import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { ApiError, createClient, Live, type JobMessage } from "../src/index.js";
import type { SocketLike } from "../src/live.js";

const url = process.env.ARQUEDUCT_TEST_URL!;
/** The same server behind a proxy that cuts connections. */
const cutUrl = process.env.ARQUEDUCT_TEST_CUT_URL!;
const token = process.env.ARQUEDUCT_TEST_KEY!;
const client = createClient({ url, token });

async function upload(name: string): Promise<string> {
  const { data } = await client.POST("/api/v1/documents", {
    body: { file: "" },
    bodySerializer: () => {
      const form = new FormData();
      form.append("file", new Blob([`# ${name}\n\nIt flows.\n`]), name);
      return form;
    },
  });
  return data!.job.id;
}

test("a document goes in and is found again", async () => {
  const jobId = await upload("water.md");
  const { data: job } = await client.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: jobId } } });
  assert.equal(job!.document_name, "water.md");
  const { data: page } = await client.GET("/api/v1/documents", { params: { query: { limit: 1 } } });
  assert.equal(page!.items[0]!.name, "water.md");
});

test("a problem is an error with its code", async () => {
  const nobody = "01890000-0000-7000-8000-000000000000";
  await assert.rejects(
    () => client.GET("/api/v1/documents/{document_id}", { params: { path: { document_id: nobody } } }),
    (error: ApiError) => error.status === 404 && error.code === "not_found" && error.advice !== "",
  );
});

test("who may not listen hears so", async () => {
  const stranger = createClient({ url, token: "aq_wrong" });
  const error = await new Promise<ApiError | undefined>((resolve) => {
    const onStatus = (status: string, why?: ApiError) => status === "closed" && resolve(why);
    new Live({ url, client: stranger, onJob: () => undefined, onStatus, socket: open }).start();
  });
  assert.equal(error?.code, "not_authenticated");
});

test("a socket that is cut comes back and tells nothing twice", async () => {
  const names = ["a.md", "b.md", "c.md", "d.md", "e.md", "f.md"];
  const seen = new Map<string, number>();
  let uploads = 0;
  await new Promise<void>((resolve, reject) => {
    const live = new Live({
      url: cutUrl,
      client,
      socket: open,
      random: () => 0.1,
      onJob: (job: JobMessage) => {
        if (job.seq <= (seen.get(job.job_id) ?? -1)) {
          reject(new Error(`job ${job.job_id} went back to ${job.seq}`));
        }
        seen.set(job.job_id, job.seq);
        if (seen.size >= names.length && live.reconnects >= 2) {
          live.close();
          resolve();
        }
      },
      onStatus: (status) => {
        if (status !== "open") {
          return;
        }
        const until = live.reconnects >= 2 ? names.length : 2;
        while (uploads < until) {
          void upload(names[uploads++]!).catch(reject);
        }
      },
    }).start();
  });
});

function open(address: string): SocketLike {
  return new WebSocket(address) as unknown as SocketLike;
}
