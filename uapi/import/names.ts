/** What things are called in the module: C's names, but for those that mean something in TypeScript. */
import type { Constant, Header, Ioctl, Struct } from './model.js';

/** Words that no `const` of a module can be called. */
const WORDS =
  `arguments await break case catch class const continue debugger default delete do else enum eval
  export extends false finally for function if implements import in instanceof interface let new null package
  private protected public return static super switch this throw true try typeof undefined var void while
  with yield`.split(/\s+/);

/** What modules import from dmabuf-shim/ioctl. */
const IMPORTED =
  `anonymous array charArray choice cstring field flags flexible io ioctls ior iow iowr ptr requests
  s16 s32 s64 s8 struct u16 u32 u64 u8 union View`.split(/\s+/);

/**
 * The names of a module. C has tags apart from other names, TypeScript has not: a struct whose name is taken
 * gets an underscore. A constant whose name is taken has none.
 */
export class Names {
  readonly #taken = new Set([...WORDS, ...IMPORTED]);
  readonly #names = new Map<Struct | Constant | Ioctl, string>();

  constructor(header: Header) {
    for (const item of [...header.ioctls, ...header.constants]) {
      if (!this.#taken.has(item.name)) this.#names.set(item, this.fresh(item.name));
    }
    for (const struct of header.structs) this.#names.set(struct, this.fresh(struct.name));
  }

  get(item: Struct | Constant | Ioctl): string | undefined {
    return this.#names.get(item);
  }

  /** A name that nothing has yet. */
  fresh(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name)) name += '_';
    this.#taken.add(name);
    return name;
  }
}
