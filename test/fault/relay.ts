// A TCP relay on loopback between a machine and its hub, that fails as networks do.

export type Weather =
  | { kind: "clear" }
  /** every chunk later by up to so many ms, in order */
  | { kind: "slow"; ms: number }
  /** everything that is sent is lost, both ways; the connections stand */
  | { kind: "silent" }
  /** only what the machine sends is lost, or only what it gets */
  | { kind: "one-way"; lost: "up" | "down" }
  /** nothing is read any more: the buffers fill */
  | { kind: "stuck" }
  /** new connections are refused, the old ones reset */
  | { kind: "cut" };

type Side = { socket: Bun.Socket<Pair> | undefined; waiting: Uint8Array[] };
type Pair = { client: Side; server: Side };

export class Relay implements AsyncDisposable {
  readonly #pairs = new Set<Pair>();
  readonly #listener: Bun.TCPSocketListener<Pair>;
  #weather: Weather = { kind: "clear" };

  constructor(
    private readonly target: number,
    private readonly roll: () => number,
  ) {
    this.#listener = Bun.listen<Pair>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => this.#accept(socket),
        data: (socket, bytes) => this.#carry(socket.data, "up", socket.data.server, bytes),
        drain: (socket) => flush(socket.data.client),
        close: (socket) => this.#end(socket.data),
        error: (socket) => this.#end(socket.data),
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** What was swallowed is gone, so a connection that lost bytes is reset when it clears up, as TCP would. */
  set weather(weather: Weather) {
    const lossy = this.#weather.kind === "silent" || this.#weather.kind === "one-way";
    if (lossy || weather.kind === "cut") this.reset();
    if (this.#weather.kind === "stuck")
      for (const { client, server } of this.#pairs)
        for (const side of [client, server]) side.socket?.resume();
    this.#weather = weather;
    if (weather.kind === "stuck")
      for (const { client, server } of this.#pairs) for (const side of [client, server]) side.socket?.pause();
  }

  /** Breaks what is connected now. */
  reset(): void {
    for (const pair of this.#pairs) {
      pair.client.socket?.terminate();
      pair.server.socket?.terminate();
      this.#pairs.delete(pair);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reset();
    this.#listener.stop(true);
  }

  #accept(socket: Bun.Socket<Pair>): void {
    const pair: Pair = {
      client: { socket, waiting: [] },
      server: { socket: undefined, waiting: [] },
    };
    socket.data = pair;
    if (this.#weather.kind === "cut") {
      socket.terminate();
      return;
    }
    this.#pairs.add(pair);
    Bun.connect<Pair>({
      hostname: "127.0.0.1",
      port: this.target,
      data: pair,
      socket: {
        open: (server) => {
          pair.server.socket = server;
          flush(pair.server);
        },
        data: (_, bytes) => this.#carry(pair, "down", pair.client, bytes),
        drain: () => flush(pair.server),
        close: () => this.#end(pair),
        error: () => this.#end(pair),
        connectError: () => this.#end(pair),
      },
    }).catch(() => this.#end(pair));
  }

  #carry(pair: Pair, way: "up" | "down", to: Side, bytes: Uint8Array): void {
    const weather = this.#weather;
    if (weather.kind === "silent" || (weather.kind === "one-way" && weather.lost === way)) return;
    const copy = Uint8Array.from(bytes);
    to.waiting.push(copy);
    if (weather.kind !== "slow") flush(to);
    else setTimeout(() => this.#pairs.has(pair) && flush(to), this.roll() * weather.ms);
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.socket?.end();
    pair.server.socket?.end();
  }
}

function flush(side: Side): void {
  if (!side.socket) return;
  for (let next = side.waiting[0]; next; next = side.waiting[0]) {
    const written = side.socket.write(next);
    if (written < next.length) {
      side.waiting[0] = next.subarray(Math.max(0, written));
      return;
    }
    side.waiting.shift();
  }
}
