// SPDX-License-Identifier: BSD-3-Clause

/** Does what the page does, without a page: node build/look.mjs URL REPOSITORY TYPE COLLECTION [WHERE] */

import { Butler } from "./butler.js";
import { problemOf } from "./errors.js";
import { hex } from "./values.js";

const [url = "", repository = "", datasetType = "", collection = "", where = ""] = process.argv.slice(2);

async function look(): Promise<void> {
  const butler = new Butler(url, repository, () => process.env["BUTLER_TOKEN"] ?? "");
  await butler.connect();
  const collections = await butler.collections();
  console.log(`collections ${collections.map(({ name }) => name).join(" ")}`);
  for await (const rows of butler.pages({ datasetType, collections: [collection], where, pageSize: 2 })) {
    console.log(`page of ${rows.length}`);
    for (const row of rows) {
      const [artifact] = await butler.artifacts(String(row["id"]));
      if (artifact !== undefined) {
        const content = await butler.read(artifact);
        const digest = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", content)));
        console.log(`detector ${row["detector"]}: ${content.length} bytes, ${digest}`);
      }
    }
  }
}

look().catch((thrown: unknown) => {
  const { code, reason, message, metadata } = problemOf(thrown);
  console.error(JSON.stringify({ code, reason, message, metadata }));
  process.exitCode = 1;
});
