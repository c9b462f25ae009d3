// A TCP relay on loopback between a machine and its hub, that fails as networks do.
import { WebSocketFrames } from "./frames.ts";

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
  | { kind: "cut" }
  /** a few bytes at a time */
  | { kind: "trickle"; bytes: number; ms: number }
  /** one side's connection is gone and the other side is not told */
  | { kind: "half-open"; gone: "up" | "down" }
  /** WebSocket frames arrive twice, now and then */
  | { kind: "duplicate"; chance: number }
  /** connections break in the middle of what is sent */
  | { kind: "torn"; chance: number }
  /** new connections stand for a moment and break */
  | { kind: "flap"; ms: number };

type Side = {
  socket: Bun.Socket<Pair> | undefined;
  waiting: Uint8Array[];
  /** of what goes to this side */
  frames: WebSocketFrames;
  /** what trickles, and what came behind it */
  trickle: Promise<void>;
  trickling: number;
};
/** `deaf`: an end of it is gone and nobody tells the other */
type Pair = { client: Side; server: Side; deaf: boolean };

export class Relay implements AsyncDisposable {
  readonly #pairs = new Set<Pair>();
  readonly #listener: Bun.TCPSocketListener<Pair>;
  #weather: Weather = { kind: "clear" };
  #flapping: ReturnType<typeof setInterval> | undefined;

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
    const { kind } = this.#weather;
    const lossy = kind === "silent" || kind === "one-way" || kind === "half-open";
    clearInterval(this.#flapping);
    if (lossy || weather.kind === "cut") this.reset();
    if (this.#weather.kind === "stuck")
      for (const { client, server } of this.#pairs)
        for (const side of [client, server]) side.socket?.resume();
    this.#weather = weather;
    if (weather.kind === "half-open") this.#abandon(weather.gone);
    if (weather.kind === "flap") this.#flap(weather.ms);
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
    clearInterval(this.#flapping);
    this.reset();
    this.#listener.stop(true);
  }

  #accept(socket: Bun.Socket<Pair>): void {
    const pair: Pair = { client: sideOf(socket), server: sideOf(undefined), deaf: false };
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

  #abandon(gone: "up" | "down"): void {
    for (const pair of this.#pairs) {
      pair.deaf = true;
      (gone === "up" ? pair.server : pair.client).socket?.terminate();
    }
  }

  #flap(ms: number): void {
    this.#flapping = setInterval(() => this.reset(), ms);
  }

  #carry(pair: Pair, way: "up" | "down", to: Side, bytes: Uint8Array): void {
    const weather = this.#weather;
    if (weather.kind === "silent" || (weather.kind === "one-way" && weather.lost === way)) return;
    if (pair.deaf) return;
    const copy = Uint8Array.from(bytes);
    // followed all the time, so that the beginning of a frame is known when the weather changes
    const frames = to.frames.take(copy);
    if (weather.kind === "torn" && this.roll() < weather.chance) {
      this.#pass(pair, to, [copy.subarray(0, Math.floor(this.roll() * copy.length))]);
      pair.client.socket?.flush();
      this.#end(pair);
    } else if (weather.kind === "duplicate" && frames)
      this.#pass(
        pair,
        to,
        frames.flatMap((frame) => (this.roll() < weather.chance ? [frame, frame] : [frame])),
      );
    else if (weather.kind === "slow") {
      to.waiting.push(copy);
      setTimeout(() => this.#pairs.has(pair) && flush(to), this.roll() * weather.ms);
    } else if (weather.kind === "trickle") this.#pass(pair, to, inPieces(copy, weather.bytes), weather.ms);
    else this.#pass(pair, to, [copy]);
  }

  /** Sends these, with a pause before each; never before what trickles already. */
  #pass(pair: Pair, to: Side, pieces: Uint8Array[], pauseMs = 0): void {
    if (pauseMs === 0 && to.trickling === 0) {
      to.waiting.push(...pieces);
      flush(to);
      return;
    }
    to.trickling += 1;
    to.trickle = to.trickle.then(async () => {
      for (const piece of pieces) {
        if (!this.#pairs.has(pair)) break;
        if (pauseMs > 0 && this.#weather.kind === "trickle") await Bun.sleep(pauseMs);
        to.waiting.push(piece);
        flush(to);
      }
      to.trickling -= 1;
    });
  }

  #end(pair: Pair): void {
    if (pair.deaf) return; // nobody tells the other side
    this.#pairs.delete(pair);
    pair.client.socket?.end();
    pair.server.socket?.end();
  }
}

const sideOf = (socket: Side["socket"]): Side => ({
  socket,
  waiting: [],
  frames: new WebSocketFrames(),
  trickle: Promise.resolve(),
  trickling: 0,
});

const inPieces = (bytes: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  );

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
