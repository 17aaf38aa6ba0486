/** The messages that udevd sends to programs. systemd: src/libsystemd/sd-device/device-monitor.c. */

const MAGIC = 0xfeedcafe;
/** struct monitor_netlink_header */
const HEADER_SIZE = 40;

/** A message of these properties; `tags` are for filters. */
export function udevMessage(
  properties: ReadonlyMap<string, string>,
  tags: Iterable<string>,
): Uint8Array {
  const text = [...properties].map(([key, value]) => `${key}=${value}\0`).join('');
  const body = Buffer.from(text);
  const header = Buffer.alloc(HEADER_SIZE);
  header.write('libudev\0');
  // What filters look at is in the order of the network.
  header.writeUInt32BE(MAGIC, 8);
  header.writeUInt32LE(HEADER_SIZE, 12);
  header.writeUInt32LE(HEADER_SIZE, 16);
  header.writeUInt32LE(body.length, 20);
  header.writeUInt32BE(hashOf(properties.get('SUBSYSTEM')), 24);
  header.writeUInt32BE(hashOf(properties.get('DEVTYPE')), 28);
  header.writeBigUInt64BE(bloom(tags), 32);
  return Buffer.concat([header, body]);
}

function hashOf(text: string | undefined): number {
  return text === undefined ? 0 : murmurHash2(Buffer.from(text));
}

/** string_bloom64() of all the tags. */
function bloom(tags: Iterable<string>): bigint {
  let bits = 0n;
  for (const tag of tags) {
    const hash = hashOf(tag);
    for (const shift of [0, 6, 12, 18]) bits |= 1n << BigInt((hash >>> shift) & 63);
  }
  return bits;
}

/** MurmurHash2 with seed 0, by Austin Appleby, in the public domain. */
function murmurHash2(data: Uint8Array): number {
  const m = 0x5bd1e995;
  let hash = data.length;
  let at = 0;
  for (; data.length - at >= 4; at += 4) {
    let word = new DataView(data.buffer, data.byteOffset + at).getUint32(0, true);
    word = Math.imul(word, m);
    word = Math.imul(word ^ (word >>> 24), m);
    hash = Math.imul(hash, m) ^ word;
  }
  if (at < data.length) {
    for (let i = data.length - 1; i >= at; i--) hash ^= (data[i] as number) << (8 * (i - at));
    hash = Math.imul(hash, m);
  }
  hash = Math.imul(hash ^ (hash >>> 13), m);
  return (hash ^ (hash >>> 15)) >>> 0;
}
