{-# LANGUAGE X #-}
module Main where
import qualified Data.Map as M
import Control.Concurrent (forkIO)
-- for
{- if {- nested -} -}
fact :: Integer -> Integer
fact 0 = 1
fact n = n * fact (n - 1)

x' :: Char
x' = 'a'

main :: IO ()
main = do
  _ <- forkIO (return ())
  forM_ [1 .. 10] $ \i ->
    forM_ [1 .. i] $ \j -> print (fact j)
  if True then putStrLn "for" else return ()
