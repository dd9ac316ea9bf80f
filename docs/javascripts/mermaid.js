// Material loads Mermaid from another host, unless there is a `mermaid` already. This one comes from the site itself, and only
// on a page that has a drawing. docs/hooks/mermaid.py puts the files there.
const files = new URL("mermaid/index.js", document.currentScript.src);
let settings;

window.mermaid = {
  initialize(given) {
    settings = given;
  },
  async render(...drawing) {
    const { mermaid } = await import(files);
    mermaid.initialize(settings);
    return mermaid.render(...drawing);
  },
};
