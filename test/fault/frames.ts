// Finds whole WebSocket frames (RFC 6455 §5.2) in one direction of a connection that began with an HTTP upgrade.

export class WebSocketFrames {
  #mode: "head" | "frames" | "other" = "head";
  /** bytes of the current frame that are still to come */
  #left = 0;
  /** the beginning of a frame whose length is not known yet */
  #held: Uint8Array = new Uint8Array();

  /** The frames of this chunk when it is nothing but whole ones; undefined when it is not. */
  take(chunk: Uint8Array): Uint8Array[] | undefined {
    if (this.#mode === "head") {
      this.#readHead(chunk);
      return undefined;
    }
    return this.#mode === "frames" ? this.#split(chunk) : undefined;
  }

  #readHead(chunk: Uint8Array): void {
    const text = Buffer.from(chunk).toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    const upgrade = /^HTTP\/1\.1 101|^upgrade: *websocket/im.test(text);
    this.#mode = end !== -1 && upgrade ? "frames" : "other";
    if (this.#mode === "frames") this.#split(chunk.subarray(end + 4));
  }

  #split(chunk: Uint8Array): Uint8Array[] | undefined {
    const began = this.#left === 0 && this.#held.length === 0;
    const skip = Math.min(this.#left, chunk.length);
    this.#left -= skip;
    let rest = Buffer.concat([this.#held, chunk.subarray(skip)]);
    const whole: Uint8Array[] = [];
    while (rest.length > 0) {
      const length = frameLength(rest);
      if (length === undefined) break;
      if (length > rest.length) {
        this.#left = length - rest.length;
        rest = Buffer.alloc(0);
        whole.length = 0;
        this.#held = rest;
        return undefined;
      }
      whole.push(Uint8Array.from(rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
    this.#held = Uint8Array.from(rest);
    return began && rest.length === 0 ? whole : undefined;
  }
}

/** Bytes of the frame that begins here; undefined when too little of it is there. */
function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const second = bytes.readUInt8(1);
  const mask = second & 0x80 ? 4 : 0;
  const short = second & 0x7f;
  if (short < 126) return 2 + mask + short;
  if (short === 126) return bytes.length < 4 ? undefined : 4 + mask + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 10 + mask + Number(bytes.readBigUInt64BE(2));
}
