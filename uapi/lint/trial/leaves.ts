/** The places in an argument where bits can be changed. */
import type { CType, Field, StructType } from '../../../ioctl/index.js';
import { isArray, isStruct } from '../../types.js';
import { isReserved, type Surface } from '../surface.js';

/** A field that is no struct, at its place in the whole argument. */
export interface Leaf {
  /** `rect.width`, `items[1].pad` */
  readonly path: string;
  readonly struct: StructType;
  readonly field: Field;
  /** Bytes from the start of the argument. */
  readonly offset: number;
  readonly size: number;
  readonly doc: string;
  /** It is not used, and to be 0. */
  readonly reserved: boolean;
  /** Whether it is said that nothing is taken from it. */
  readonly outOnly: boolean;
}

/** Elements of arrays of structs that are looked at. */
const ELEMENTS = 4;

export function leavesOf(surface: Surface, type: CType | undefined): Leaf[] {
  return isStruct(type) ? within(surface, type, '', 0) : [];
}

function within(surface: Surface, struct: StructType, prefix: string, base: number): Leaf[] {
  return struct.fields.flatMap((field) => {
    const at = { path: `${prefix}${field.name}`, offset: base + field.offset };
    if (isStruct(field.type)) return within(surface, field.type, `${at.path}.`, at.offset);
    if (isArray(field.type) && isStruct(field.type.element)) {
      const { element, size } = field.type;
      const n = Math.min(ELEMENTS, element.size === 0 ? 0 : size / element.size);
      return Array.from({ length: n }, (_, i) =>
        within(surface, element, `${at.path}[${i}].`, at.offset + i * element.size),
      ).flat();
    }
    const doc = surface.docOf(struct, field);
    const direction = surface.directionOf(struct, field);
    const outOnly = direction !== undefined && !direction.in;
    const reserved = isReserved(field, doc) && !outOnly;
    return [{ ...at, struct, field, size: field.type.size, doc, reserved, outOnly }];
  });
}

/** The bits of a flags word that have no name; undefined if it is not said which there are. */
export function unknownBits({ field, size }: Leaf): number[] | undefined {
  if (!field.flags) return undefined;
  const known = field.flags.reduce((bits, flag) => bits | flag.mask | flag.value, 0n);
  return Array.from({ length: size * 8 }, (_, bit) => bit).filter(
    (bit) => ((known >> BigInt(bit)) & 1n) === 0n,
  );
}

/** For each choice in a field, a value that has no name, with the bits that it is in. */
export function unknownValues({ field }: Leaf): { value: bigint; mask: bigint }[] {
  const choices = new Map<bigint, Set<bigint>>();
  for (const { mask, value } of field.flags ?? []) {
    if (mask !== value) choices.set(mask, (choices.get(mask) ?? new Set()).add(value));
  }
  const found: { value: bigint; mask: bigint }[] = [];
  for (const [mask, values] of choices) {
    const unit = mask & -mask;
    let value = 0n;
    while (values.has(value) || field.flags?.some((flag) => flag.value === value)) value += unit;
    if (value !== 0n && (value & ~mask) === 0n) found.push({ value, mask });
  }
  return found;
}
