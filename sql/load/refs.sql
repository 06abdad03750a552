-- The agreed ends of relationships after a load.
--
-- in:   sync.refs, plan.refs_added, plan.refs_removed
-- out:  one row per pair, field and target
-- key:  pair, field, target
SELECT DISTINCT integration, pair, field, target FROM (
  SELECT b.integration, b.pair, b.field, b.target
  FROM sync.refs AS b
  LEFT ANTI JOIN plan.refs_removed AS d ON d.pair = b.pair AND d.field = b.field AND d.target = b.target
  UNION ALL
  SELECT integration, pair, field, target FROM plan.refs_added
)
ORDER BY 2, 3, 4
