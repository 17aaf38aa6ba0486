/**
 * Tables that name the bits of a field, for decoding. They are attached to a field with
 * `field(u32, { flags: [...choice(O_ACCMODE, { O_RDONLY, O_WRONLY, O_RDWR }), ...flags({ O_CLOEXEC })] })`.
 */

/** One name: it holds when the bits under `mask` are exactly `value`. */
export interface Flag {
  readonly name: string;
  readonly value: bigint;
  readonly mask: bigint;
}

/**
 * Names in order of preference: bits that one name has explained are not explained again, so an
 * alias for several bits (`DMA_BUF_SYNC_RW`) stands before the bits that it is made of.
 */
export type FlagTable = readonly Flag[];

/** Names by constant, best written in shorthand: `{ O_CLOEXEC, O_NONBLOCK }`. */
export type Constants = Readonly<Record<string, number | bigint>>;

/** Independent bits. */
export function flags(names: Constants): FlagTable {
  return Object.entries(names).map(([name, constant]) => {
    const value = BigInt(constant);
    if (value === 0n) throw new RangeError(`${name} is 0: that is a choice, not a flag`);
    return { name, value, mask: value };
  });
}

/** One of several values under `mask`, 0 included: `choice(O_ACCMODE, { O_RDONLY, O_WRONLY })`. */
export function choice(mask: number | bigint, names: Constants): FlagTable {
  return Object.entries(names).map(([name, constant]) => ({
    name,
    value: BigInt(constant),
    mask: BigInt(mask),
  }));
}

/**
 * `value` by its names, with what no name explains in hex: `O_RDWR|O_CLOEXEC|0x40000000`;
 * `0` if nothing is set and no name stands for that. `value` is not negative.
 */
export function formatFlags(value: number | bigint, table: FlagTable): string {
  const bits = BigInt(value);
  const words: string[] = [];
  let explained = 0n;
  for (const flag of table) {
    if ((bits & flag.mask) !== flag.value || (flag.mask & explained) !== 0n) continue;
    words.push(flag.name);
    explained |= flag.mask;
  }
  const rest = bits & ~explained;
  if (rest !== 0n) words.push(`0x${rest.toString(16)}`);
  return words.join('|') || '0';
}
