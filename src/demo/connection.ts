/**
 * What camera, filter and display say to each other, over SOCK_SEQPACKET sockets. A buffer's
 * descriptors travel once; from then on its number does. The rules are in examples/README.md.
 */
import { doc, struct, u32, type View } from '../../ioctl/index.js';
import { promises, sendmsg } from '../posix.js';

/** Here is a buffer: its number and the size of its frames. With its descriptors. */
export const BUFFER = 1;
/** A frame is in the buffer: the receiver's to read until it says RELEASE. */
export const FRAME = 2;
/** The buffer may be written again. */
export const RELEASE = 3;
/** The last message of this direction. */
export const END = 4;

export const message = struct('message', {
  type: doc(u32, 'BUFFER, FRAME, RELEASE or END; what the type has no use for is 0'),
  buffer: doc(u32, 'its number, from 0'),
  frame: doc(u32, 'its number, from 0'),
  width: doc(u32, 'pixels: 4 bytes each, red first, rows without padding'),
  height: u32,
});
export type message = View<typeof message>;
type MessageInit = Parameters<typeof message.create>[0];

/** Longer messages would be received too: what they held would show in {@link Traffic}. */
const LONGEST = 4096;

/** What went through a socket, in both directions, as counted at one of its ends. */
export interface Traffic {
  messages: number;
  bytes: number;
  descriptors: number;
}

/** The other process has ended before it said END. */
export class PeerGone extends Error {
  constructor() {
    super('the other end of the connection is gone');
    this.name = 'PeerGone';
  }
}

/** One end of the socket between two of the processes. */
export class Connection {
  readonly traffic: Traffic = { messages: 0, bytes: 0, descriptors: 0 };
  readonly #socket: number;

  constructor(socket: number) {
    this.#socket = socket;
  }

  /** @throws PeerGone */
  send(content: MessageInit, fds: readonly number[] = []): void {
    const { bytes } = message.create(content);
    try {
      this.#count(sendmsg(this.#socket, bytes, fds), fds.length);
    } catch (error) {
      throw asPeerGone(error);
    }
  }

  /**
   * The messages of the other end, up to its END.
   * @throws PeerGone if there is none.
   */
  async *receive(): AsyncGenerator<{ content: message; fds: number[] }, void, void> {
    for (;;) {
      const { data, fds } = await promises.recvmsg(this.#socket, LONGEST).catch((error) => {
        throw asPeerGone(error);
      });
      if (data.length === 0) throw new PeerGone();
      this.#count(data.length, fds.length);
      const content = message.view(data);
      if (content.type === END) return;
      yield { content, fds };
    }
  }

  #count(bytes: number, descriptors: number): void {
    this.traffic.messages++;
    this.traffic.bytes += bytes;
    this.traffic.descriptors += descriptors;
  }
}

/** A process that died leaves EPIPE to who writes, ECONNRESET to who had written. */
function asPeerGone(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ECONNRESET' ? new PeerGone() : error;
}
