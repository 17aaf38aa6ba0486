/** Where the fields of structs stand in the sources: their comments, lines, and how their types are written. */
import type { StructType } from '../ioctl/index.js';
import {
  type Declaration,
  declareProperty,
  isDeclaration,
  type SourceFile,
  type Sources,
} from './sources.js';
import {
  argumentsOf,
  bare,
  type Call,
  calleeName,
  type Expression,
  isCall,
  keyName,
  type ObjectLiteral,
} from './syntax.js';
import { elementOf, isUnnamed } from './types.js';

/** A type that stands in the sources as a call: the file, and `struct('tag', { … })`. */
interface Written {
  readonly file: SourceFile;
  readonly call: Call;
}

/** The declarations of the fields of every struct that has been bound. */
export class FieldSources {
  readonly #fields = new WeakMap<StructType, Map<string, Declaration>>();
  readonly #sources: Sources;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** The declaration of a field: of the struct's own, or of one of its anonymous members'. */
  get(type: StructType, field: string): Declaration | undefined {
    return this.#fields.get(type)?.get(field);
  }

  /** Connects a type to the call that makes it, and the unnamed types within it to theirs. */
  bind(type: StructType, { file, call }: Written): void {
    if (this.#fields.has(type)) return;
    const found = new Map<string, Declaration>();
    this.#fields.set(type, found);
    const written = this.#members(file, call);
    const inOrder = written.length === type.members.length;
    for (const [i, member] of type.members.entries()) {
      const declared = inOrder ? written[i] : written.find(({ name }) => name === member.name);
      if (!declared || (member.name !== '' && member.name !== declared.name)) continue;
      if (member.name !== '') found.set(member.name, declared);
      const inner = elementOf(member.type);
      if (!isUnnamed(inner)) continue;
      const made = this.#structCall(declared.file, declared.value);
      if (made) this.bind(inner, made);
      if (member.name !== '') continue;
      for (const [name, one] of this.#fields.get(inner) ?? []) found.set(name, one);
    }
  }

  /** The properties of the object that a struct's call is given, spreads opened. */
  #members(file: SourceFile, call: Call): Declaration[] {
    for (const argument of argumentsOf(call)) {
      const object = this.#object(file, argument);
      if (object) return this.#properties(object.file, object.literal);
    }
    return [];
  }

  #properties(file: SourceFile, literal: ObjectLiteral): Declaration[] {
    return literal.properties.flatMap((property) => {
      if (property.type === 'SpreadElement') {
        const spread = this.#object(file, property.argument);
        return spread ? this.#properties(spread.file, spread.literal) : [];
      }
      const name = property.type === 'ObjectProperty' ? keyName(property) : undefined;
      if (property.type !== 'ObjectProperty' || name === undefined) return [];
      return [declareProperty(file, name, property)];
    });
  }

  #object(
    file: SourceFile,
    value: Expression,
  ): { file: SourceFile; literal: ObjectLiteral } | undefined {
    const node = bare(value);
    if (node.type === 'ObjectExpression') return { file, literal: node };
    if (node.type !== 'Identifier') return undefined;
    const found = this.#sources.resolve(file, node.name);
    if (!found || !isDeclaration(found) || !found.value) return undefined;
    return this.#object(found.file, found.value);
  }

  /** The struct or union that is made where a field's type is written: within field(), array() and so on. */
  #structCall(file: SourceFile, value: Expression | undefined): Written | undefined {
    const made = this.#sources.callOf(file, value);
    if (!made) return undefined;
    const name = calleeName(made.call);
    if (name === 'struct' || name === 'union') return made;
    return this.#structCall(made.file, argumentsOf(made.call)[0]);
  }

  /**
   * The lengths of a field's arrays as the source writes them, the outermost first: `[2, N]` of
   * `array(charArray(N), 2)`.
   */
  lengths(type: StructType, field: string): { file: SourceFile; value: Expression }[] {
    const declared = this.get(type, field);
    const found: { file: SourceFile; value: Expression }[] = [];
    let made = declared && this.#sources.callOf(declared.file, declared.value);
    while (made) {
      const [first, second] = argumentsOf(made.call);
      const name = calleeName(made.call);
      const length = name === 'charArray' ? first : name === 'array' ? second : undefined;
      if (length) found.push({ file: made.file, value: length });
      made =
        isCall(first) || first?.type === 'Identifier'
          ? this.#sources.callOf(made.file, first)
          : undefined;
    }
    return found;
  }
}
