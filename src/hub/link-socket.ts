// Bun's WebSocket callbacks, tied to the links.
import { closeCodes, linkProtocolVersion, maxFrameBytes } from "../protocol/link.ts";
import type { Link } from "./link.ts";
import type { Links } from "./links.ts";

export type LinkSocketData = { machine: string; epoch: number; speaks: boolean; link: Link | undefined };

/** `links` is asked for late: server and links need each other. */
export function linkSocketHandler(links: Links): Bun.WebSocketHandler<LinkSocketData> {
  return {
    // Frames up to twice the limit reach `message`, which closes with our own code; beyond, Bun cuts.
    maxPayloadLength: 2 * maxFrameBytes,
    backpressureLimit: 8 * maxFrameBytes,
    idleTimeout: 120,
    open(socket) {
      const { machine, epoch, speaks } = socket.data;
      if (speaks) socket.data.link = links.opened(machine, epoch, socket);
      else socket.close(closeCodes.protocol, `this hub speaks link protocol ${linkProtocolVersion}`);
    },
    message(socket, data) {
      socket.data.link?.received(data);
    },
    drain(socket) {
      socket.data.link?.drained();
    },
    close(socket) {
      if (socket.data.link) links.closed(socket.data.link);
    },
  };
}
