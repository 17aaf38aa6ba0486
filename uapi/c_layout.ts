/**
 * Layouts where they depend on the machine: i386 places 64-bit integers at multiples of 4. An interface has to
 * be laid out alike for 32-bit programs, so that a struct which would not be asks for the alignment.
 */
import { type CType, memberAlign, type StructType } from '../ioctl/index.js';
import { elementOf, isArray, isStruct } from './types.js';

export class Alignment {
  /** The structs whose 64-bit members say that they are aligned to 8 bytes. */
  readonly #aligned = new Set<StructType>();
  readonly #isForeign: (type: StructType) => boolean;

  /** @param isForeign whether a struct is declared elsewhere, and cannot be changed */
  constructor(isForeign: (type: StructType) => boolean) {
    this.#isForeign = isForeign;
  }

  /** Takes a struct into account, and aligns it, if i386 makes it necessary, and at need what it is made of. */
  add(type: StructType): void {
    if (this.#differs(type) && type.pack >= 8) this.#aligned.add(type);
    if (this.#differs(type)) this.#align(type);
  }

  /** Whether the 64-bit members of a struct are to be aligned. */
  has(type: StructType): boolean {
    return this.#aligned.has(type);
  }

  #align(type: CType): void {
    const element = elementOf(type);
    if (!isStruct(element) || this.#isForeign(element)) return;
    if (element.pack >= 8) this.#aligned.add(element);
    for (const member of element.members) this.#align(member.type);
  }

  #differs(type: StructType): boolean {
    const { size, offsets } = this.#place(type);
    const moved = type.members.some(({ offset }, i) => offset !== offsets[i]);
    return (
      moved ||
      size !== type.size ||
      type.members.some((member) => {
        const element = elementOf(member.type);
        return isStruct(element) && !this.#isForeign(element) && this.#differs(element);
      })
    );
  }

  /** As i386 lays a struct out. */
  #place(type: StructType): { size: number; align: number; offsets: number[] } {
    const offsets: number[] = [];
    let [end, size, align] = [0, 0, type.aligned];
    for (const member of type.members) {
      const own = this.#sizeAndAlign(member.type, type);
      const step = memberAlign(own.align, member, type);
      const offset = type.kind === 'union' ? 0 : Math.ceil(end / step) * step;
      offsets.push(offset);
      end = offset + own.size;
      size = Math.max(size, end);
      align = Math.max(align, step);
    }
    return { size: Math.ceil(size / align) * align, align, offsets };
  }

  #sizeAndAlign(type: CType, within: StructType): { size: number; align: number } {
    if (isArray(type)) {
      const element = this.#sizeAndAlign(type.element, within);
      const count = type.element.size === 0 ? 0 : type.size / type.element.size;
      return { size: count * element.size, align: element.align };
    }
    if (isStruct(type)) {
      const { size, align } = this.#place(type);
      const stated = this.#isForeign(type) && this.#aligned.has(within);
      return stated ? { size, align: type.align } : { size, align };
    }
    const aligned = type.size < 8 || this.#aligned.has(within);
    return { size: type.size, align: aligned ? type.align : Math.min(type.align, 4) };
  }
}
