import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ApiError,
  BadUrlError,
  createClient,
  Live,
  UnreachableError,
  WaitTimeoutError,
  type ClientError,
  type JobMessage,
} from "../src/index.js";

const url = process.env.ARQUEDUCT_TEST_URL!;
/** The same server behind a proxy that cuts connections. */
const cutUrl = process.env.ARQUEDUCT_TEST_CUT_URL!;
const token = process.env.ARQUEDUCT_TEST_KEY!;
const client = createClient({ url, token });

async function upload(name: string): Promise<string> {
  const accepted = await client.upload(new Blob([`# ${name}\n\nIt flows.\n`]), { name });
  return accepted.job.id;
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

test("a file has its name, a blob needs one, and a key makes one of two uploads", async () => {
  const file = new File(["# Stone\n\nIt lies.\n"], "stone.md");
  const options = { priority: "bulk", idempotencyKey: crypto.randomUUID() } as const;
  const first = await client.upload(file, options);
  assert.equal(first.document.name, "stone.md");
  assert.equal(first.job.priority, "bulk");
  assert.equal((await client.upload(file, options)).job.id, first.job.id);
  await assert.rejects(client.upload(new Blob(["x"])), /has no name/);
});

test("a set of files has an answer for each, and a project of it is waited for", async () => {
  const files = [
    new File(["# Water\n\nIt flows.\n"], "water.md"),
    { path: "a/b/stone.md", content: new Blob(["# Stone\n\nIt lies still.\n"]) },
    { path: "a/empty.md", content: new Blob([]) },
  ];
  const options = { name: "Rivers", metadata: { depth: 2 }, idempotencyKey: crypto.randomUUID() };
  const made = await client.createFileSet(files, options);
  assert.deepEqual(made.files.map((file) => [file.path, file.error?.code ?? null]), [
    ["water.md", null],
    ["a/b/stone.md", null],
    ["a/empty.md", "empty_upload"],
  ]);
  assert.deepEqual([made.name, made.metadata], ["Rivers", { depth: 2 }]);
  assert.equal((await client.createFileSet(files, options)).id, made.id);
  const more = await client.uploadToFileSet(made.id, [{ path: "c.md", content: new Blob(["# C\n\nIt is.\n"]) }]);
  assert.deepEqual(more.files.map((file) => file.path), ["c.md"]);

  const { data: accepted } = await client.POST("/api/v1/projects", {
    body: { name: "a project", file_set_id: made.id },
  });
  const waiting = client.wait(accepted!.job.id, { timeoutMs: 60_000 });
  const params = { path: { project_id: accepted!.project.id } };
  await client.POST("/api/v1/projects/{project_id}/cancel", { params });
  assert.equal((await waiting).state, "cancelled");
  const { data: report } = await client.GET("/api/v1/projects/{project_id}/errors", { params });
  assert.deepEqual(report!.by_code, {});
  const csv = { params: { ...params, query: { format: "csv" } }, parseAs: "text" } as const;
  const { data: lines } = await client.GET("/api/v1/projects/{project_id}/errors", csv);
  assert.ok(lines!.startsWith('"job_id","kind",'));
  const { data: again } = await client.POST("/api/v1/projects/{project_id}/retry", { params });
  assert.equal(again!.counts.queued, 3);
});

test("what is no URL is told at once, and a server that is away by its address", async () => {
  for (const wrong of ["nonsense", "localhost:8000", "http://", "ftp://127.0.0.1", ""]) {
    assert.throws(() => createClient({ url: wrong, token }), BadUrlError);
  }
  assert.throws(() => createClient({ url: "aq_secret", token }), (error: Error) => !error.message.includes("aq_secret"));
  const away = createClient({ url: "http://127.0.0.1:1", token });
  await assert.rejects(away.GET("/api/v1/jobs", { params: { query: { limit: 1 } } }), (error: UnreachableError) => {
    assert.ok(error instanceof UnreachableError);
    assert.equal(error.url, "http://127.0.0.1:1/api/v1/jobs");
    assert.match(error.message, /GET http:\/\/127\.0\.0\.1:1\/api\/v1\/jobs: .*(ECONNREFUSED|bad port)/);
    return true;
  });
});

test("a job is waited for until it ends, told by the socket or by asking", async () => {
  for (const options of [{}, { socket: () => assert.fail("there are no sockets here") }]) {
    const jobId = await upload(`waited-${Object.keys(options).length}.md`);
    const waiting = client.wait(jobId, { ...options, timeoutMs: 60_000 });
    await client.POST("/api/v1/jobs/{job_id}/cancel", { params: { path: { job_id: jobId } } });
    const job = await waiting;
    assert.equal(job.id, jobId);
    assert.equal(job.state, "cancelled");
  }
});

test("waiting has an end of its own, and what is not there is not waited for", async () => {
  const jobId = await upload("slow.md");
  await assert.rejects(client.wait(jobId, { timeoutMs: 50 }), (error: WaitTimeoutError) => error.job?.id === jobId);
  const gone = new AbortController();
  const waiting = client.wait(jobId, { signal: gone.signal });
  gone.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  await assert.rejects(client.wait("01890000-0000-7000-8000-000000000000"), /404 not_found/);
});

test("who may not listen hears so, even who does not ask", async (t) => {
  const stranger = createClient({ url, token: "aq_wrong" });
  const error = await new Promise<ClientError | undefined>((resolve) => {
    const onStatus = (status: string, why?: ClientError) => status === "closed" && resolve(why);
    new Live({ client: stranger, onJob: () => undefined, onStatus: (...told) => void onStatus(...told) }).start();
  });
  assert.equal((error as ApiError).code, "not_authenticated");
  const said = await new Promise<string>((resolve) => {
    t.mock.method(console, "error", resolve);
    new Live({ client: stranger, onJob: () => undefined }).start();
  });
  assert.match(said, /ApiError: 401 not_authenticated/);
});

test("a socket that is cut comes back and tells nothing twice", async () => {
  const names = ["a.md", "b.md", "c.md", "d.md", "e.md", "f.md"];
  const seen = new Map<string, number>();
  let uploads = 0;
  await new Promise<void>((resolve, reject) => {
    const live = new Live({
      url: cutUrl,
      client,
      random: () => 0.1,
      onJob: (job: JobMessage) => {
        if ("id" in job || job.message_id !== `${job.job_id}:${job.seq}`) {
          reject(new Error(`a message has the names of the wire: ${JSON.stringify(job)}`));
        }
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
