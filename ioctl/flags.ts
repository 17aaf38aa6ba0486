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
  if (value <= MAX_SMALL) return formatSmall(Number(value), table);
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

/** What fits an int is looked at as one, which is much faster. */
const MAX_SMALL = 0x7fffffff;

interface SmallFlag {
  readonly name: string;
  readonly value: number;
  readonly mask: number;
}

const smallTables = new WeakMap<FlagTable, SmallFlag[]>();

/** The names that can hold for values up to {@link MAX_SMALL}. */
function smallTable(table: FlagTable): SmallFlag[] {
  let small = smallTables.get(table);
  if (!small) {
    small = table
      .filter(({ value }) => value <= MAX_SMALL)
      .map(({ name, value, mask }) => ({
        name,
        value: Number(value),
        // Bits beyond are 0 in both.
        mask: Number(mask & BigInt(MAX_SMALL)),
      }));
    smallTables.set(table, small);
  }
  return small;
}

function formatSmall(bits: number, table: FlagTable): string {
  let words = '';
  let explained = 0;
  for (const { name, value, mask } of smallTable(table)) {
    if ((bits & mask) !== value || (mask & explained) !== 0) continue;
    words += words && '|';
    words += name;
    explained |= mask;
  }
  const rest = bits & ~explained;
  if (rest !== 0) words += `${words && '|'}0x${rest.toString(16)}`;
  return words || '0';
}
