// For pages made for somebody. Cache-Control: no-store keeps them out of every HTTP cache, but some browsers still
// freeze a page as it stands and thaw it for the back button, after signing out too. So: go blank, and ask again.
addEventListener("pagehide", () => { document.documentElement.hidden = true; });
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
