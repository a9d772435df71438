// The same work as bench/workers/socket.
import { connect } from "cloudflare:sockets";

const ping = new TextEncoder().encode("ping\n");

export default {
  async fetch(request, env) {
    const socket = connect({ hostname: "127.0.0.1", port: Number(env.ECHO_PORT) });
    await socket.writable.getWriter().write(ping);
    const { value } = await socket.readable.getReader().read();
    await socket.close();
    return new Response(value);
  },
};
