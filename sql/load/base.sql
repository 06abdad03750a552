-- The base after a load: what was agreed before, and in its place what was agreed now.
--
-- in:   sync.base, plan.agreed
-- out:  one row per pair and field
-- key:  pair, field
SELECT b.pair, b.integration, b.field, b.left_native, b.right_native, b.degraded
FROM sync.base AS b
LEFT ANTI JOIN plan.agreed AS a ON a.pair = b.pair AND a.field = b.field
UNION ALL
SELECT a.pair, a.integration, a.field, a.left_native, a.right_native, a.degraded
FROM plan.agreed AS a
ORDER BY 1, 3
