// Bun's WebSocket callbacks, tied to the links.
import { closeCodes, maxFrameBytes } from "../protocol/link.ts";
import { refusedProtocol } from "../protocol/version.ts";
import type { Link } from "./link.ts";
import type { Parts } from "./parts.ts";

/** `epoch` is undefined when the daemon wants to speak a protocol that this hub does not */
export type LinkSocketData = { machine: string; epoch: number | undefined; link: Link | undefined };

export function linkSocketHandler({ links, speaks }: Parts): Bun.WebSocketHandler<LinkSocketData> {
  return {
    // Frames up to twice the limit reach `message`, which closes with our own code; beyond, Bun cuts.
    maxPayloadLength: 2 * maxFrameBytes,
    backpressureLimit: 8 * maxFrameBytes,
    idleTimeout: 120,
    open(socket) {
      const { machine, epoch } = socket.data;
      if (epoch === undefined) socket.close(closeCodes.protocol, refusedProtocol(speaks));
      else socket.data.link = links.opened(machine, epoch, socket);
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
