// A machine's wall clock as a test sets it: its daemon or hub follows the file, its agents ask here.
import { renameSync, writeFileSync } from "node:fs";

export class MachineClock {
  #text = "";

  constructor(readonly path: string) {
    this.shift(0);
  }

  readonly now = (): number => {
    const ms = Number(this.#text.slice(1));
    return this.#text.startsWith("=") ? ms : Date.now() + ms;
  };

  /** ms later than the true time; negative: earlier */
  shift(ms: number): void {
    this.#set(`+${ms}`);
  }

  freeze(): void {
    this.#set(`=${this.now()}`);
  }

  /** Never half written for whoever reads it now. */
  #set(text: string): void {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
    this.#text = text;
  }
}
