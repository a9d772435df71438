// The same answer as bench/workers/hello.
export default {
  async fetch() {
    return new Response("Hello from a worker\n", { headers: { "content-type": "text/plain;charset=UTF-8" } });
  },
};
